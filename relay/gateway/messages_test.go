package gateway

import (
	"bytes"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/relay"
)

func TestAuthors(t *testing.T) {
	w := newWorld(t)
	tests := []struct{ name, from, to, want string }{
		{"none", "", "x@plain.example", "550 5.6.0 the message has no From field"},
		{"broken", "From: <alice@own.example\n", "x@plain.example", "550 5.6.0 the From field cannot be understood"},
		{"one of two is a stranger", "From: alice@own.example, mallory@evil.example\n", "x@sign.example", "550 5.7.1 the message must be signed, but cannot be: the message has several From addresses"},
		{"two fields", "From: alice@own.example\nFrom: alice@own.example\n", "x@sign.example", "550 5.7.1 the message must be signed, but cannot be: the message has several From addresses"},
		{"two authors", "From: alice@own.example, amy@own.example\n", "x@sign.example", "550 5.7.1 the message must be signed, but cannot be: the message has several From addresses"},
		{"no identity", "From: amy@own.example\n", "x@sign.example", "451 4.7.0 the message must be signed, but cannot be: there is no valid identity for amy@own.example"},
	}
	for _, tt := range tests {
		o, err := w.process(w.envelope("out", "alice@own.example", tt.to), parseMessage(t, tt.from+"To: "+tt.to+"\n\n"+text+"\n"))
		if err == nil {
			if len(o.Refused) != 1 {
				t.Errorf("%s: outcome:\n%s", tt.name, w.outline(o))
				continue
			}
			err = o.Refused[0].Err
		}
		if got := replyText(err); got != tt.want {
			t.Errorf("%s: reply %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestEncryptedAlreadyPasses(t *testing.T) {
	w := newWorld(t)
	o := w.expect([]string{bob}, "encrypted bob@enc.example")
	again, err := w.process(w.envelope("out", "alice@own.example", dave, "x@plain.example"), o.Deliveries[0].Message)
	if err != nil {
		t.Fatal(err)
	}
	if len(again.Deliveries) != 1 || !bytes.Equal(again.Deliveries[0].Message.Bytes(), o.Deliveries[0].Message.Bytes()) {
		t.Errorf("outcome:\n%s", w.outline(again))
	}
}

// A false name for plain text must not open the way out.
func TestPlainTextUnderAFalseNameIsRefused(t *testing.T) {
	w := newWorld(t)
	for _, head := range []string{
		"Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\n",
		"Content-Type: application/pkcs7-mime; smime-type=enveloped-data\nContent-Transfer-Encoding: base64\n",
		"Auto-Submitted: auto-replied\n",
		"Content-Type: multipart/report; report-type=delivery-status; boundary=b\n",
	} {
		msg := parseMessage(t, "From: alice@own.example\nTo: dave@enc.example\n"+head+"\n"+text+"\n")
		o, err := w.process(w.envelope("out", "alice@own.example", dave), msg)
		if err != nil && relay.ReplyFor(err).Code != 550 {
			t.Errorf("%s: %v", head, err)
		}
		if err == nil && len(o.Deliveries) != 0 {
			t.Errorf("%s gets out:\n%s", head, w.outline(o))
		}
	}
}

func TestReportsAreNotTouched(t *testing.T) {
	w := newWorld(t)
	report := func(last string) string {
		return "From: MAILER-DAEMON@mx.other.example\nTo: dave@enc.example\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\n\n" +
			"--b\n\nsorry\n--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; x\n\n--b\nContent-Type: " + last + "\n\nSubject: x\n\nbody\n--b--\n"
	}
	o, err := w.process(w.envelope("out", "", dave), parseMessage(t, strings.ReplaceAll(report("text/rfc822-headers"), "\n\nbody", "")))
	if err != nil || w.outline(o) != "plain dave@enc.example" {
		t.Errorf("a report with a header: %v %v", o, err)
	}
	// One that brings a body back is mail like any other.
	o, err = w.process(w.envelope("out", "", dave), parseMessage(t, report("message/rfc822")))
	if err == nil && len(o.Deliveries) != 0 {
		t.Errorf("a report with a body gets out:\n%s", w.outline(o))
	}
	// Its author need not be of a local domain.
	msg := parseMessage(t, strings.ReplaceAll(report("message/rfc822"), dave, "x@plain.example"))
	o, err = w.process(w.envelope("out", "", "x@plain.example"), msg)
	if err != nil || w.outline(o) != "plain x@plain.example" {
		t.Errorf("a report with a body to whom mail may be plain: %v %v", o, err)
	}
	// What only has the null sender is no report.
	forged := parseMessage(t, "From: mallory@evil.example\nTo: dave@enc.example\n\nhello\n")
	if o, err = w.process(w.envelope("out", "", dave), forged); err == nil && len(o.Deliveries) != 0 {
		t.Errorf("mail with the null sender gets out:\n%s", w.outline(o))
	}
}

// A message that goes from one local user to another must not carry a status that
// no verification gave it.
func TestForgedFieldsDoNotLeave(t *testing.T) {
	w := newWorld(t)
	for _, to := range []string{"x@plain.example", "x@prefer.example", "x@all.example"} {
		msg := parseMessage(t, "From: alice@own.example\nTo: "+to+"\nX-SMIME-Status: pass\nAuthentication-Results: gw.own.example; smime=pass\n"+
			"Authentication-Results: mx.own.example; dkim=pass\n\n"+text+"\n")
		o, err := w.process(w.envelope("out", "alice@own.example", to), msg)
		if err != nil || len(o.Deliveries) != 1 {
			t.Fatal(err, o)
		}
		m := o.Deliveries[0].Message
		if m.Has(statusField) || len(m.All(resultsField)) != 1 {
			t.Errorf("to %s:\n%s", to, m.Header())
		}
	}
}

// Authors as mail programs write them.
func TestAuthorsInTheWild(t *testing.T) {
	w := newWorld(t)
	for _, from := range []string{
		"alice@own.example", "<alice@own.example>", "\"Doe, Alice\" <alice@own.example>", "Alice (at home) <alice@own.example>",
		"=?iso-8859-1?q?Al=EFce?= <alice@own.example>", "Al\u00efce <alice@own.example>", "Al\xefce <alice@own.example>",
		"\"alice@own.example\" <alice@own.example>", "A. Lice <alice@own.example>", "alice@own.example (Alice)",
		"Alice\n <alice@own.example>", "=?x-unknown?b?AAAA?= <alice@own.example>",
	} {
		o, err := w.process(w.envelope("out", "alice@own.example", "x@sign.example"), parseMessage(t, "From: "+from+"\nTo: x@sign.example\n\n"+text+"\n"))
		if err != nil || len(o.Deliveries) != 1 || !isSigned(o.Deliveries[0].Message) {
			t.Errorf("%q: %v", from, err)
		}
	}
}

// What is odd and harmless is not refused: other people's signatures, types that
// that are not known, structures that do not end.
func TestOddMessagesPass(t *testing.T) {
	w := newWorld(t)
	for name, entity := range map[string]string{
		"pgp signature":    "Content-Type: multipart/signed; protocol=\"application/pgp-signature\"; micalg=pgp-sha256; boundary=b\n\n--b\n\nx\n--b\nContent-Type: application/pgp-signature\n\n-----BEGIN\n--b--\n",
		"pgp ciphertext":   "Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=b\n\n--b\nContent-Type: application/pgp-encrypted\n\nVersion: 1\n--b\nContent-Type: application/octet-stream\n\n-----BEGIN\n--b--\n",
		"certificates":     "Content-Type: application/octet-stream; name=root.p7b\nContent-Transfer-Encoding: base64\n\nTUlJ\n",
		"unknown type":     "Content-Type: x-strange/thing\n\nx\n",
		"not ended":        "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n",
		"no boundary":      "Content-Type: multipart/mixed\n\nx\n",
		"not a type":       "Content-Type: text\n\nx\n",
		"8 bit":            "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nGr\u00fc\u00dfe\n",
		"report of a list": "Content-Type: multipart/report; report-type=feedback-report; boundary=b\n\n--b\n\nx\n--b--\n",
	} {
		for _, to := range []string{"x@plain.example", "x@sign.example", bob} {
			msg := parseMessage(t, "From: alice@own.example\nTo: "+to+"\nDate: Thu, 1 Jan 2026 09:00:00 +0000\nMIME-Version: 1.0\n"+entity)
			o, err := w.process(w.envelope("out", "alice@own.example", to), msg)
			if err != nil || len(o.Deliveries) != 1 {
				t.Errorf("%s to %s: %v", name, to, err)
				continue
			}
			if to == "x@plain.example" && !bytes.Equal(o.Deliveries[0].Message.Bytes(), msg.Bytes()) {
				t.Errorf("%s is changed", name)
			}
			if r := w.read(o.Deliveries[0].Message).Report; to != "x@plain.example" && r.Result != "pass" {
				t.Errorf("%s to %s reads as %+v", name, to, r)
			}
		}
	}
}
