"""What comes back to a stranger who sends a captured ciphertext, whole and changed.

Postfix stands in front of the gateway and behind it and reports success. Whether the
padding is right must not show: the reports differ in nothing but what is unique."""
from lab import *

INNER = crlf("Content-Type: text/plain; hp=\"cipher\"\nSubject: HIDDEN-SUBJECT\nHP-Outer: Subject: [...]\n\nTOP-SECRET-WORDS\n")
OUTER = ("From: Mallory <mallory@evil.example>\nTo: alice@corp.example\nSubject: [...]\n"
         "Date: Mon, 1 Dec 2025 10:00:00 +0000\nMessage-ID: <o@evil.example>\nMIME-Version: 1.0\n"
         "Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\n"
         "Content-Transfer-Encoding: base64\n\n")
UNIQUE = re.compile(r"\d{2}:\d{2}:\d{2}|\b[0-9A-F]{8,}\b|\b[A-Z2-7]{16}\b|\d{14}\.|/mx\.corp\.example|\.\d{10}\b|delay[s]?=\S+"
                    r"|returned\+[^@>]*|report-[A-Z2-7]+|[A-Z2-7]{26}")


def message(good):
    import base64
    der = bytearray(subprocess.run(["openssl", "cms", "-encrypt", "-aes256", "-binary", "-outform", "DER", PKI + "/alice.pem"],
                                   input=INNER, capture_output=True, check=True).stdout)
    if not good:
        der[-20] ^= 0x55  # the block before the last: the last octets of the text, which are its padding
        der[-17] ^= 0x55
    return crlf(OUTER) + base64.encodebytes(bytes(der)).replace(b"\n", b"\r\n")


def returned(listener, good):
    """Sends the ciphertext and returns what the sink got for the stranger."""
    snk.clear()
    send(listener, "mallory@evil.example", "alice@corp.example", message(good), "RET=FULL ENVID=E1",
         "NOTIFY=SUCCESS,FAILURE,DELAY", show=False)
    mails = snk.wait(2, 6)
    inner = [m for m in mails if m["rcpt"][0][0] == "alice@corp.example"]
    print(listener, "good" if good else "bad", "| decrypted:", any(b"TOP-SECRET-WORDS" in m["raw"] for m in inner))
    return "\n".join(UNIQUE.sub("*", m["raw"].decode("utf-8", "replace")) for m in mails if m not in inner)


snk = Sink(22700, L + "/sink")
pf = Postfix()
gw = Gateway(rules='[[rule]]\nname="default"\nsign="never"\nencrypt="never"\n')
for listener in ("lmtp-in", "milter-in", "relay-in"):
    good, bad = returned(listener, True), returned(listener, False)
    print(listener, "| report:", "yes" if good else "none", "|", "the same" if good == bad else "DIFFERENT\n%s\n-----\n%s" % (good, bad))
    for word in ("HIDDEN-SUBJECT", "X-SMIME", "Authentication-Results", "TOP-SECRET"):
        if word in good + bad:
            print(listener, "RETURNED", word)
