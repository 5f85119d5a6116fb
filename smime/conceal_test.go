package smime

import (
	"bytes"
	"strings"
	"testing"
)

// TestNothingRepeatsAHiddenSubject: whatever field has the subject, it is inside of
// an encrypted message only, and what readers thread by comes back.
func TestNothingRepeatsAHiddenSubject(t *testing.T) {
	w := newWorld(t)
	fields := map[string]string{
		"Thread-Topic": "the merger", "Original-Subject": "Re: the merger", "Resent-Subject": "the merger", "X-Original-Subject": "the  MERGER",
		"X-MS-Exchange-Topic": "other", "Summary": "other", "X-Title": "=?windows-1252?q?the_merger?=", "X-Folded": "about the\r\n merger",
		"Comments": "other", "Keywords": "other", "DKIM-Signature": "v=1; d=x; z=Subject:the=20merger; b=x",
		"ARC-Message-Signature": "i=1; z=Subject:the=20merger",
	}
	var head strings.Builder
	for name, value := range fields {
		head.WriteString(name + ": " + value + "\r\n")
	}
	m := parse(t, "From: Alice <alice@example.org>\r\nTo: bob@example.org\r\nSubject: AW: Re: The merger\r\nX-Own: 1\r\nReferences: <the-merger@x>\r\n"+
		"DKIM-Signature: v=1; d=y; b=x\r\n"+head.String()+"\r\nmeet at ten\r\n")
	for name, got := range protectedForms(t, w, m) {
		if !strings.Contains(name, "cipher") {
			continue
		}
		for field := range fields {
			if all := got.All(field); field != "DKIM-Signature" && len(all) != 0 || len(all) > 1 {
				t.Errorf("%s: outside %s: %q", name, field, all)
			}
		}
		if bytes.Contains(bytes.ToLower(got.Bytes()), []byte("merger")) != bytes.Contains(got.Bytes(), []byte("the-merger@x")) ||
			bytes.Count(bytes.ToLower(got.Header()), []byte("merger")) != 1 {
			t.Errorf("%s: the subject is outside:\n%s", name, got.Header())
		}
		if got.Get("X-Own") != "1" || got.Get("DKIM-Signature") == "" {
			t.Errorf("%s: too much is hidden:\n%s", name, got.Header())
		}
		opened := w.open(got, w.bob).Message
		for _, field := range []string{"Subject", "Thread-Topic", "Original-Subject", "Resent-Subject"} {
			if all := opened.All(field); len(all) != 1 || all[0] != m.Get(field) {
				t.Errorf("%s: opened %s is %q", name, field, all)
			}
		}
	}
	// What a short subject has in common with others is an accident.
	short := parse(t, "From: Alice <alice@example.org>\r\nTo: bob@example.org\r\nSubject: x1\r\nX-Mailer: Prog x1\r\n\r\nmeet\r\n")
	if got := encrypt(t, short, EncryptOptions{Headers: HeadersCipher}, w.bob); got.Get("X-Mailer") == "" {
		t.Errorf("hidden:\n%s", got.Header())
	}
}
