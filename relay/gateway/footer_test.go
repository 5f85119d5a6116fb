package gateway

import (
	"bytes"
	"crypto/x509"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime"
)

const particulars = "Own GmbH, Geschäftsführerin: Ä. Ökonom"

func footerWorld(t *testing.T) *world {
	w := newWorld(t)
	w.config.Policy = testpki.Must(enforce.Compile([]enforce.Rule{
		{Name: "enc", Recipient: []string{"enc.example"}, Sign: "require", Encrypt: "require", Footer: particulars},
		{Name: "again", Recipient: []string{"again.example"}, Sign: "require", Encrypt: "never", AlreadySigned: "sign", Footer: particulars},
		{Name: "sign", Recipient: []string{"sign.example"}, Sign: "require", Encrypt: "never", Footer: particulars, FooterHTML: "<hr>Own"},
		{Name: "default", Sign: "never", Encrypt: "never", Footer: particulars},
	}))
	w.start()
	return w
}

// encodedFooter is how the footer looks on the wire.
const encodedFooter = "Gesch=C3=A4ftsf=C3=BChrerin"

// The footer is inside of our signature and of the encryption.
func TestFooterIsSigned(t *testing.T) {
	w := footerWorld(t)
	for _, to := range []string{bob, "x@sign.example", "x@plain.example"} {
		o, err := w.send(to)
		if err != nil {
			t.Fatal(err)
		}
		m := o.Deliveries[0].Message
		opened := w.read(m)
		if to != "x@plain.example" && opened.Report.Result != "pass" {
			t.Errorf("%s: %+v", to, opened.Report)
		}
		if raw := opened.Message.Bytes(); !bytes.Contains(raw, []byte(encodedFooter)) || !bytes.Contains(raw, []byte(text)) {
			t.Errorf("%s:\n%s", to, raw)
		}
		if isSigned(m) != (to == "x@sign.example") || isEncrypted(m) != (to == bob) {
			t.Errorf("%s:\n%s", to, m.Bytes())
		}
	}
}

// What the sender signed stays as it is, beside the footer; with already_signed =
// "sign" ours is around both; and what the sender encrypted is not touched.
func TestFooterStandsOutsideOfSignatures(t *testing.T) {
	w := footerWorld(t)
	alice, err := w.keys.Signing(t.Context(), w.addr("alice@own.example"))
	if err != nil || alice == nil {
		t.Fatal(err)
	}
	signed := testpki.Must(smime.Sign(w.letter("x@plain.example"), alice, smime.SignOptions{}))
	for _, to := range []string{"x@plain.example", "x@again.example"} {
		o, err := w.process(w.envelope("out", "alice@own.example", to), signed)
		if err != nil {
			t.Fatal(err)
		}
		m := o.Deliveries[0].Message
		root := m.Root()
		if to == "x@again.example" {
			if !isSigned(m) || w.read(m).Report.Result != "pass" {
				t.Errorf("%s: %+v", to, w.read(m).Report)
			}
			root = root.Children[0]
		}
		if root.MediaType != "multipart/mixed" || len(root.Children) != 2 || !bytes.Contains(root.Children[1].Bytes(), []byte(encodedFooter)) {
			t.Fatalf("%s:\n%s", to, m.Bytes())
		}
		inner := mustMessage(t, append([]byte("From: alice@own.example\r\nMIME-Version: 1.0\r\n"), root.Children[0].Bytes()...))
		if r := w.read(inner).Report; r.Result != "pass" {
			t.Errorf("%s: the sender's signature is %+v", to, r)
		}
	}
	opaque := testpki.Must(smime.Sign(w.letter("x@plain.example"), alice, smime.SignOptions{Opaque: true}))
	closed := testpki.Must(smime.Encrypt(w.letter("x@plain.example"), []*x509.Certificate{testpki.Must(w.theirs.Signing(t.Context(), w.addr(bob))).Certificate}, smime.EncryptOptions{}))
	for _, m := range []string{string(opaque.Bytes()), string(closed.Bytes())} {
		o, err := w.process(w.envelope("out", "alice@own.example", "x@plain.example"), mustMessage(t, []byte(m)))
		if err != nil {
			t.Fatal(err)
		}
		if string(o.Deliveries[0].Message.Bytes()) != m {
			t.Errorf("changed:\n%s", o.Deliveries[0].Message.Bytes())
		}
	}
}

// Neither automatic mail nor meeting requests get one.
func TestNoFooter(t *testing.T) {
	w := footerWorld(t)
	meeting := parseMessage(t, "From: alice@own.example\nTo: x@plain.example\nContent-Type: text/calendar\n\nBEGIN:VCALENDAR\n")
	report := parseMessage(t, "From: postmaster@own.example\nTo: x@plain.example\nAuto-Submitted: auto-replied\n\nI am away\n")
	for sender, m := range map[string]string{"alice@own.example": string(meeting.Bytes()), "": string(report.Bytes())} {
		o, err := w.process(w.envelope("out", sender, "x@plain.example"), mustMessage(t, []byte(m)))
		if err != nil {
			t.Fatal(err)
		}
		if got := string(o.Deliveries[0].Message.Bytes()); got != m || strings.Contains(got, "GmbH") {
			t.Errorf("from %q:\n%s", sender, got)
		}
	}
}
