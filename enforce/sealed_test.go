package enforce

import (
	"strings"
	"testing"
)

// TestEncryptedAlready: what is encrypted already passes as it is, with a word on
// whether the recipient can read it; a rule may insist on that. What a profile
// finds too weak counts as not encrypted under its rules.
func TestEncryptedAlready(t *testing.T) {
	p, err := Compile([]Rule{
		{Name: "check", Recipient: []string{"check.example"}, Encrypt: "require", AlreadyEncrypted: "check"},
		{Name: "strong", Recipient: []string{"strong.example"}, Encrypt: "require", Profile: "strong"},
		{Name: "none", Recipient: []string{"clear.example"}, Encrypt: "never", Sign: "never"},
		{Name: "default", Sign: "never", Encrypt: "require"},
	})
	if err != nil {
		t.Fatal(err)
	}
	const unknown = "already encrypted, passed unchanged; it is not encrypted to a known certificate of the recipient"
	for _, tt := range []struct {
		to    string
		reads Availability
		weak  bool
		want  string
		note  string
	}{
		{"has@any.example", Available, false, "copy 1", "already encrypted, passed unchanged"},
		{"has@any.example", None, false, "copy 1", unknown},
		{"unknown@any.example", Unknown, false, "copy 1", "already encrypted, passed unchanged"},
		{"none@any.example", Unknown, false, "copy 1", "already encrypted, passed unchanged"},
		{"has@check.example", Available, false, "copy 1", "already encrypted, passed unchanged"},
		{"has@check.example", None, false, "refused", ""},
		{"none@check.example", Unknown, false, "copy 1", "already encrypted, passed unchanged"}, // nothing to compare with
		{"unknown@check.example", Unknown, false, "deferred", ""},
		{"has@strong.example", Available, true, "copy 1 encrypted to 1", ""},
		{"none@strong.example", Unknown, true, "refused", ""},
		{"has@any.example", Available, true, "copy 1", "already encrypted, passed unchanged"},
	} {
		f := facts(t, tt.to)
		f.Content.Encrypted, f.Recipients[0].Reads = true, tt.reads
		if tt.weak {
			f.Content.TooWeak = map[string]bool{"strong": true}
		}
		plan := Decide(p, &f)
		if got := summary(f, plan); got != tt.want {
			t.Errorf("%s, reads %v: %s, want %s", tt.to, tt.reads, got, tt.want)
		} else if strings.HasPrefix(got, "copy") && plan.Copies[0].Recipients[0].Note != tt.note {
			t.Errorf("%s, reads %v: note %q, want %q", tt.to, tt.reads, plan.Copies[0].Recipients[0].Note, tt.note)
		}
		if err := p.Check(&f, plan); err != nil {
			t.Errorf("%s: %v", tt.to, err)
		}
	}
	// A lookup only where the rule could have asked for one.
	f := facts(t, "has@any.example has@clear.example")
	f.Content.Encrypted = true
	if n := p.Needs(&f); !n.Certificate[0] || n.Certificate[1] {
		t.Errorf("lookups %v", n.Certificate)
	}
}

// TestWhatCannotBeRead: the strictest rule decides of those that may match.
func TestWhatCannotBeRead(t *testing.T) {
	list := func(s ...string) []string { return s }
	for _, tt := range []struct {
		name    string
		rule    Rule
		content Content
		last    string // encrypt of the last rule
		want    string
	}{
		{"a subject that may say so", Rule{Subject: list("secret"), Encrypt: "require"}, Content{Unread: map[string]bool{"subject": true}}, "never", "it"},
		{"a subject that says so and more", Rule{Subject: list("secret"), Encrypt: "require"},
			Content{Header: map[string][]string{"subject": {"Secret \ufffd"}}, Unread: map[string]bool{"subject": true}}, "never", "it"},
		{"a rule that protects less", Rule{Subject: list("public"), Encrypt: "never"}, Content{Unread: map[string]bool{"subject": true}}, "require", "default"},
		{"an exception that may hold", Rule{ExceptSubject: list("public"), Encrypt: "require"}, Content{Unread: map[string]bool{"subject": true}}, "never", "it"},
		{"another field", Rule{Subject: list("secret"), Encrypt: "require"}, Content{Unread: map[string]bool{"x-class": true}}, "never", "default"},
		{"a header", Rule{Header: list("X-Class ~ ^sec"), Encrypt: "require"}, Content{Unread: map[string]bool{"x-class": true}}, "never", "it"},
		{"a sensitivity", Rule{Sensitivity: list("private"), Encrypt: "require"}, Content{Unread: map[string]bool{"sensitivity": true}}, "never", "it"},
		{"a name", Rule{Attachment: list("*.xlsx"), Encrypt: "require"}, Content{Attachments: []Attachment{{MediaType: "a/b", Unread: true}}}, "never", "it"},
		{"a type behind it", Rule{Attachment: list("image/*"), Encrypt: "require"}, Content{Attachments: []Attachment{{MediaType: "a/b", Unread: true}}}, "never", "it"},
		{"one of two readings", Rule{Attachment: list("*.xlsx"), Encrypt: "require"},
			Content{Attachments: []Attachment{{Name: "a.XLSX", Doubtful: true}, {Name: "a.pdf", Doubtful: true}}}, "never", "it"},
		{"one of two readings that would open", Rule{Attachment: list("*.ics"), Encrypt: "never"},
			Content{Attachments: []Attachment{{Name: "a.ics", Doubtful: true}, {Name: "a.pdf", Doubtful: true}}}, "require", "default"},
		{"composed in another way", Rule{Attachment: list("*ü.xlsx"), Encrypt: "require"}, Content{Attachments: []Attachment{{Name: "u\u0308.xlsx"}}}, "never", "it"},
	} {
		tt.rule.Name = "it"
		p, err := Compile([]Rule{tt.rule, {Name: "default", Sign: "never", Encrypt: tt.last}})
		if err != nil {
			t.Fatal(err)
		}
		f := facts(t, "has@any.example")
		f.Content = tt.content
		plan := Decide(p, &f)
		if got := plan.Copies[0].Recipients[0].Rule; got != tt.want {
			t.Errorf("%s: rule %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestFrom: the condition is on the authors, sender on the envelope.
func TestFrom(t *testing.T) {
	for from, want := range map[string]bool{"boss@own.example": true, "x@own.example": false, "x@own.example boss@own.example": true, "": true} {
		p, err := Compile([]Rule{
			{Name: "it", From: []string{"boss@own.example"}, Encrypt: "require"},
			{Name: "default", Sign: "never", Encrypt: "never"},
		})
		if err != nil {
			t.Fatal(err)
		}
		f := facts(t, "has@any.example")
		for _, s := range strings.Fields(from) {
			f.From = append(f.From, mustParse(t, s))
		}
		if got := Decide(p, &f).Copies[0].Encrypt != nil; got != want {
			t.Errorf("From %q: encrypted %v, want %v", from, got, want)
		}
		if p.Early(&f).Rule != "" {
			t.Error("decided before From is known")
		}
	}
}
