package gateway

import (
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/relay"
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
		"unread, passed":    {w.subjected("=?x-unknown?q?[verschl=FCsselt]?= hello"), "[signed] hello"},
		"an unread charset": {plain("=?x-unknown?q?[signed]?= hello"), "hello"},
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

// No subject stays as it came because it cannot be written as it is: octets of no known
// charset, words longer than a line, control characters.
func TestForgedTagsInSubjectsThatCannotBeWritten(t *testing.T) {
	w := taggedWorld(t)
	long := strings.Repeat("x", 1000)
	for name, tt := range map[string]struct{ subject, want string }{
		"Latin-1":              {"[signed] f\xfcr Sie", "für Sie"},
		"Latin-1, not forged":  {"f\xfcr Sie", "für Sie"},
		"a long word":          {"[signed] Invoice " + long, "Invoice " + long},
		"a long encoded word":  {"=?x-unknown?q?" + long + "?= [signed] y", long + " y"},
		"a control character":  {"[signed] a\x01b", "a\x01b"},
		"an escape and a tag":  {"\x1b(B x\nSubject: [signed] y", "x|y"},
		"Latin-1 and a tag":    {"gr\xfc\xdfe\nSubject: [signed] y", "grüße|y"},
		"a long word, one tag": {long + "\nSubject: [signed] y", long + "|y"},
	} {
		got := w.receive(parseMessage(t, "From: x@y.example\nSubject: "+tt.subject+"\n\nhello\n"))
		var seen []string
		for _, s := range got.All("Subject") {
			seen = append(seen, decoded(s))
		}
		if s := strings.Join(seen, "|"); s != tt.want {
			t.Errorf("%s: %q", name, s)
		}
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

// Where a rule has its mail tagged, no other mail is, but forged tags go from all.
func TestTagsByRule(t *testing.T) {
	w := withInboundRules(t,
		enforce.InboundRule{Name: "desk", Header: []string{"X-Desk"}, OnResult: "tag"},
		enforce.InboundRule{Name: "keep", Header: []string{"X-Keep"}, OnResult: "quarantine"})
	w.config.Inbound.Tags = TagsIn("de")
	w.start()
	plain := func(header, subject string) *message.Message {
		return parseMessage(t, "From: x@y.example\n"+header+"Subject: "+subject+"\n\nhello\n")
	}
	for name, tt := range map[string]struct {
		message *message.Message
		want    string
	}{
		"a rule":                     {w.bobsLetter("X-Desk: 1\n"), "[signiert] hello"},
		"no rule":                    {w.bobsLetter(""), "hello"},
		"nothing found":              {plain("X-Desk: 1\n", "hello"), "[nicht bestätigt] hello"},
		"encrypted":                  {w.toAlice(plain("X-Desk: 1\n", "hello")), "[verschlüsselt] hello"},
		"forged without a rule":      {plain("", "[signiert] hello"), "hello"},
		"forged":                     {plain("X-Desk: 1\n", "[signiert] hello"), "[nicht bestätigt] hello"},
		"unread without a rule":      {plain("", "=?x-unknown?q?[signiert]?= hello"), "hello"},
		"unread and passed, no rule": {w.subjected("=?x-unknown?q?[signiert]?="), ""},
	} {
		if s := subjectOf(w.receive(tt.message)); s != tt.want {
			t.Errorf("%s: %q", name, s)
		}
	}
	o := w.arrives(plain("X-Keep: 1\n", "hello"), alice)
	released, err := w.gateway.Reconsider(t.Context(), *o.Quarantined, relay.Order{Verb: relay.Release})
	if err != nil || len(released.Copies) != 1 {
		t.Fatalf("%+v, %v", released, err)
	}
	if s := subjectOf(released.Copies[0].Message); s != "[nicht bestätigt] hello" {
		t.Errorf("released with the subject %q", s)
	}
}

// subjected is a signed letter of bob's with a subject.
func (w *world) subjected(subject string) *message.Message {
	w.t.Helper()
	return mustMessage(w.t, []byte(strings.Replace(string(w.bobsLetter("").Bytes()), "Subject: hello", "Subject: "+subject, 1)))
}

// Tags are in the charset that the message has, where they can be.
func TestTagsInTheCharsetOfTheMessage(t *testing.T) {
	w := newWorld(t)
	w.config.Inbound.Tags = Tags{Signed: "[geprüft]", Encrypted: "[é]"}
	w.start()
	text := func(subject, kind string) *message.Message {
		return parseMessage(t, "From: x@y.example\nSubject: "+subject+"\nMIME-Version: 1.0\nContent-Type: "+kind+"\n\nhello\n")
	}
	for name, tt := range map[string]struct {
		message      *message.Message
		begins, want string
	}{
		"of the subject":          {w.toAlice(text("=?iso-8859-15?q?gr=FC=DFe?=", "text/plain; charset=utf-8")), "=?iso-8859-15?b?", "[é] grüße"},
		"of the text":             {w.toAlice(text("hello", "text/plain; charset=windows-1252")), "=?windows-1252?b?", "[é] hello"},
		"of a part":               {w.toAlice(text("hello", "multipart/mixed; boundary=b\n\n--b\nContent-Type: text/html; charset=iso-8859-1\n\n<p>\n--b--\n")), "=?iso-8859-1?b?", "[é] hello"},
		"that lacks a letter":     {w.toAlice(text("=?koi8-r?b?8NLJ18XU?=", "text/plain")), "=?utf-8?q?", "[é] Привет"},
		"that is not known":       {w.toAlice(text("hello", "text/plain; charset=x-odd")), "=?utf-8?q?", "[é] hello"},
		"none":                    {w.toAlice(text("hello", "text/plain")), "=?utf-8?q?", "[é] hello"},
		"hostile":                 {w.toAlice(text("hello", `text/plain; charset="utf-8?q?x?= =?utf-8"`)), "=?utf-8?q?", "[é] hello"},
		"of a forged tag cut out": {text("=?iso-8859-1?q?[gepr=FCft] gr=FC=DFe?=", "text/plain"), "=?iso-8859-1?b?", "grüße"},
	} {
		got := w.receive(tt.message)
		if s := subjectOf(got); s != tt.want || !strings.HasPrefix(got.Get("Subject"), tt.begins) {
			t.Errorf("%s: %q, which is %q", name, got.Get("Subject"), s)
		}
	}
}
