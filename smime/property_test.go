package smime

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// drawText draws lines of the kinds that relays change.
func drawText(t *rapid.T) string {
	line := rapid.OneOf(
		rapid.String(),
		rapid.StringMatching(`[ -~]{0,200}`),
		rapid.StringMatching(`(From |\.|--|=|=20|\t)?[a-z =]{0,100}[ \t]{0,2}`),
		rapid.Map(rapid.IntRange(70, 1100), func(n int) string { return strings.Repeat("x", n) }),
	)
	var lines []string
	for _, l := range rapid.SliceOfN(line, 0, 6).Draw(t, "lines") {
		lines = append(lines, strings.NewReplacer("\r", "", "\n", "").Replace(l))
	}
	return strings.Join(lines, "\n")
}

// drawPart draws a MIME part, header and content.
func drawPart(t *rapid.T, depth int) string {
	kind := rapid.IntRange(0, 6).Draw(t, "kind")
	if depth == 0 {
		kind %= 4
	}
	switch kind {
	case 0:
		return "\n" + drawText(t)
	case 1:
		return "Content-Type: text/plain; charset=utf-8; format=flowed\nContent-Transfer-Encoding: 8bit\n\n" + drawText(t)
	case 2:
		data := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "data")
		return "Content-Type: application/octet-stream; name=x.bin\nContent-Transfer-Encoding: base64\n\n" + base64.StdEncoding.EncodeToString(data)
	case 3:
		return "Content-Type: text/html; charset=iso-8859-1\nContent-Disposition: inline\n\n" + drawText(t)
	case 4:
		return "Content-Type: message/rfc822\n\nSubject: inner\n" + drawPart(t, depth-1)
	}
	boundary := fmt.Sprintf("=_%d", depth)
	var b strings.Builder
	fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=\"%s\"\n\npreamble\n", boundary)
	for range rapid.IntRange(1, 3).Draw(t, "parts") {
		fmt.Fprintf(&b, "--%s\n%s\n", boundary, drawPart(t, depth-1))
	}
	fmt.Fprintf(&b, "--%s--\nepilogue\n", boundary)
	return b.String()
}

// Whatever is sent, signed and encrypted in any way, arrives: every part with
// its type and its content, byte for byte after canonical line ends.
func TestRoundTripProperty(t *testing.T) {
	w := newWorld(t)
	rapid.Check(t, func(rt *rapid.T) {
		text := drawPart(rt, 3)
		m := mail(t, text)
		if strings.HasPrefix(text, "Content-Type: text/plain") && rapid.Bool().Draw(rt, "LF") {
			m = parse(t, strings.ReplaceAll(string(m.Bytes()), "\r\n", "\n"))
		}
		id := w.bob
		cipher := rapid.SampledFrom([]cms.Cipher{"", cms.AES128GCM, cms.ChaCha20Poly1305}).Draw(rt, "cipher")
		headers := rapid.SampledFrom([]HeaderProtection{HeadersOpen, HeadersCipher}).Draw(rt, "headers")
		signed := w.sign(t, m, id, SignOptions{Opaque: rapid.Bool().Draw(rt, "opaque"), Headers: headers})
		if !signedTravels(signed.Body()) {
			rt.Errorf("%q does not travel", signed.Body())
		}
		opened := w.open(encrypt(t, signed, EncryptOptions{Cipher: cipher}, w.alice), w.alice)
		r := opened.Report
		if !opened.Decrypted || len(r.Signers) != 1 || r.Signers[0].broken || r.Signers[0].Reason != certs.WrongAddress {
			rt.Fatalf("%+v", r)
		}
		if opened.Message.Get("Subject") != "hello" {
			rt.Errorf("subject %q", opened.Message.Get("Subject"))
		}
		payload := signedContent(t, opened.Message)
		got, want := meaning(t, payload), meaning(t, m.Root())
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			rt.Errorf("got  %q\nwant %q", got, want)
		}
	})
}
