"""Recipients whose local part leads elsewhere, by every listener, in both directions.

Behind the gateway is a Postfix with its defaults, for which the domain is local: it
would deliver them to the address inside (allow_percent_hack, swap_bangpath,
resolve_dequoted_address)."""
from lab import *

INSIDE = ["bob%target.test@corp.example", "target.test!bob@corp.example",
          '"bob@target.test"@corp.example', "bob@target.test@corp.example", "bob%target.test@[127.0.0.1]"]
PARTNER = [a.replace("target.test", "partner.example") for a in INSIDE] + ["carol%partner.example", "partner.example!carol"]
RULES = '''[[rule]]
name="partner"
recipient=["partner.example"]
sign="never"
encrypt="require"
[[rule]]
name="default"
sign="never"
encrypt="never"
'''
message = crlf("From: Alice <alice@corp.example>\nTo: x\nSubject: s\nDate: Mon, 1 Dec 2025 10:00:00 +0000\n"
               "Message-ID: <r@corp.example>\n\nTOP-SECRET-WORDS\n")


def by(listener, sender, recipient, ehlo="client.corp.example"):
    """Sends the message and returns whether any listener refused it, and how."""
    snk.clear()
    pf.mark()
    replies = send(listener, sender, recipient, message, show=False)
    refusals = [r.strip() for r in replies if r[:1] in "45" and not r.startswith(("503", "554 5.5.1"))]
    end = time.time() + 5
    while not refusals and time.time() < end:
        refusals = bounces(pf)
        time.sleep(0.2)
    arrived = [m["rcpt"][0][0] for m in snk.mails() if m["from"]]
    print(listener, recipient, "|", refusals[:1] or "TAKEN", "| ARRIVED AT %s" % arrived if arrived else "")
    pf.purge()


snk = Sink(22700, L + "/sink")
pf = Postfix(main="mydestination = corp.example\n")
gw = Gateway(rules=RULES)
for recipient in INSIDE:
    for listener in ("lmtp-in", "milter-in", "relay-in"):
        by(listener, "mallory@evil.example", recipient)
for recipient in PARTNER:
    for listener in ("lmtp-out", "milter-out", "relay-out"):
        by(listener, "alice@corp.example", recipient)
