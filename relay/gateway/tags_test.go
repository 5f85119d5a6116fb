package gateway

import (
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/message"
)

func taggedWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.config.Inbound.Tags = Tags{Signed: "[signed]", Encrypted: "[verschlüsselt]", Unverified: "[not verified]"}
	w.start()
	return w
}

// subjectOf is what a reader sees.
func subjectOf(m *message.Message) string { return decoded(m.Get("Subject")) }

func TestTags(t *testing.T) {
	w := taggedWorld(t)
	plain := func(subject string) *message.Message {
		return parseMessage(t, "From: x@y.example\nSubject: "+subject+"\n\nhello\n")
	}
	for name, tt := range map[string]struct {
		message *message.Message
		want    string
	}{
		"signed":            {w.bobsLetter(""), "[signed] hello"},
		"encrypted":         {w.toAlice(plain("hello")), "[verschlüsselt] hello"},
		"encrypted, 8-bit":  {w.toAlice(plain("=?iso-8859-1?q?gr=FC=DFe?=")), "[verschlüsselt] grüße"},
		"both":              {w.toAlice(w.bobsLetter("")), "[signed] [verschlüsselt] hello"},
		"changed":           {w.changed(), "[not verified] hello"},
		"plain":             {plain("hello"), "hello"},
		"forged":            {plain("[signed] hello"), "hello"},
		"forged, encoded":   {plain("=?utf-8?b?77y7U0lHTkVE77y9?= hello"), "hello"},
		"forged, twice":     {plain("[sig[signed]ned] [not verified] hello"), "hello"},
		"forged in German":  {plain("=?iso-8859-1?q?[VERSCHL=DCSSELT]?= hello"), "hello"},
		"a word by a cut":   {plain("[signed] =?utf-8?q?=3D=3Futf-8=3Fb=3FW3NpZ25lZF0=3D=3F=3D?="), "=?utf-8?b?W3NpZ25lZF0=?="},
		"a word of pieces":  {plain("=[signed]?utf-8?b?W3NpZ25lZF0=?="), "=?utf-8?b?W3NpZ25lZF0=?="},
		"8-bit":             {parseMessage(t, "From: x@y.example\nSubject: [signed] gr\xc3\xbc\xc3\x9fe\n\nhello\n"), "grüße"},
		"no subject":        {parseMessage(t, "From: x@y.example\n\nhello\n"), ""},
		"an unread charset": {plain("=?x-unknown?q?[signed]?= hello"), "[not verified] [signed] hello"},
	} {
		got := w.receive(tt.message)
		if s := subjectOf(got); s != tt.want || len(got.All("Subject")) > 1 {
			t.Errorf("%s: %q", name, s)
		}
	}
	if got := w.receive(w.bobsLetter("")); statusWord(got) != "pass" || !isSigned(got) {
		t.Errorf("the signature is gone:\n%s", got.Bytes())
	}
}

// A second subject is shown by some readers.
func TestTagsOfSeveralSubjects(t *testing.T) {
	w := taggedWorld(t)
	got := w.receive(parseMessage(t, "From: x@y.example\nSubject: hello\nSubject: [Signed] hello\n\nhello\n"))
	if s := strings.Join(got.All("Subject"), "|"); s != "hello|hello" {
		t.Errorf("subjects %q", s)
	}
}

func TestAsItIsHasNoTags(t *testing.T) {
	w := newWorld(t)
	w.config.Inbound.Tags = Tags{Signed: "[signed]"}
	w.config.InboundPolicy = testpki.Must(enforce.CompileInbound([]enforce.InboundRule{{Name: "all", Deliver: "as-is"}}))
	w.start()
	if s := subjectOf(w.receive(w.bobsLetter(""))); s != "hello" {
		t.Errorf("subject %q", s)
	}
}

// A status in an attached message says nothing about the message that it is attached to.
func TestStatusInsideAnAttachedMessage(t *testing.T) {
	w := newWorld(t)
	got := w.receive(parseMessage(t, "From: x@y.example\nSubject: s\nContent-Type: message/rfc822\n\nFrom: ceo@own.example\nX-SMIME-Status: pass\n"+
		"Authentication-Results: gw.own.example; smime=pass\n\nhello\n"))
	if statusWord(got) != "none" || len(got.All(statusField)) != 1 || len(got.All(resultsField)) != 1 {
		t.Errorf("header %q", got.Header())
	}
}
