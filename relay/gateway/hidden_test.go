package gateway

import (
	"context"
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime"
)

// answerCase is a message with a header.
type answerCase struct {
	header string
	known  string // which subject was hidden
	err    error
	rule   enforce.Rule
	p      Profile
	asked  string
	hidden bool
}

// why is what the explanation has to say.
func (c answerCase) why() string {
	switch {
	case !c.hidden:
		return ""
	case c.p.ProtectEncrypted:
		return hiddenByProfile
	case c.err != nil:
		return hiddenByNoHistory
	case c.asked == "":
		return hiddenByBadID
	}
	return hiddenByAnswer
}

// TestAnswersToHiddenSubjects: what answers a message of which the subject was hidden hides
// its own where it is encrypted, whatever its profile says; so does what cannot be looked up.
func TestAnswersToHiddenSubjects(t *testing.T) {
	long := "<" + strings.Repeat("x", relay.MaxMessageID-3) + "@>"
	const answer = "In-Reply-To: <2@enc.example>\nReferences: <0@enc.example>\n <1@enc.example> <2@enc.example>\n"
	for name, tt := range map[string]answerCase{
		"an answer":         {header: answer, known: "<2@enc.example>", asked: "<2@enc.example> <2@enc.example> <1@enc.example> <0@enc.example>", hidden: true},
		"of an answer":      {header: answer, known: "<0@enc.example>", asked: "<2@enc.example> <2@enc.example> <1@enc.example> <0@enc.example>", hidden: true},
		"of another":        {header: answer, asked: "<2@enc.example> <2@enc.example> <1@enc.example> <0@enc.example>"},
		"no answer":         {known: "<2@enc.example>"},
		"not to be known":   {header: "In-Reply-To: <2@enc.example>\n", err: errors.New("no history"), asked: "<2@enc.example>", hidden: true},
		"the longest":       {header: "In-Reply-To: " + long + "\n", asked: long},
		"too long":          {header: "In-Reply-To: <x" + long[1:] + "\n", hidden: true},
		"too long before":   {header: "References: <x" + long[1:] + " <1@enc.example>\n", hidden: true},
		"cannot be one":     {header: "In-Reply-To: <a b@enc.example>\n", hidden: true},
		"beyond ASCII":      {header: "In-Reply-To: <\u00fc@enc.example>\n", hidden: true},
		"without brackets":  {header: "In-Reply-To: 2@enc.example\n", hidden: true},
		"cut off":           {header: "In-Reply-To: <2@enc.exam\n", hidden: true},
		"with words":        {header: "In-Reply-To: Your message of today <2@enc.example>\n", asked: "<2@enc.example>"},
		"not signed":        {header: "In-Reply-To: <2@enc.example>\n", known: "<2@enc.example>", rule: enforce.Rule{Sign: "never"}, asked: "<2@enc.example>", hidden: true},
		"not encrypted":     {header: "In-Reply-To: <2@enc.example>\n", known: "<2@enc.example>", rule: enforce.Rule{Encrypt: "never"}},
		"hidden anyway":     {header: answer, p: Profile{ProtectEncrypted: true}, hidden: true},
		"otherwise wrapped": {header: "In-Reply-To: <2@enc.example>\n", known: "<2@enc.example>", p: Profile{Wrap: "message"}, asked: "<2@enc.example>", hidden: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			rule := enforce.Rule{Name: "default", Sign: "require", Encrypt: "require", Profile: enforce.DefaultProfile}
			if tt.rule.Sign != "" {
				rule.Sign = tt.rule.Sign
			}
			if tt.rule.Encrypt != "" {
				rule.Encrypt = tt.rule.Encrypt
			}
			w.config.Policy = mustCompile(t, rule)
			w.config.Profiles = map[string]Profile{enforce.DefaultProfile: tt.p}
			asked := ""
			w.config.HidSubject = func(_ context.Context, ids []string) (bool, error) {
				asked = strings.Join(ids, " ")
				return slices.Contains(ids, tt.known), tt.err
			}
			var steps []string
			w.config.Decided = func(d Decision) { steps = d.Steps }
			w.start()
			m := mustMessage(t, []byte(strings.ReplaceAll(tt.header, "\n", "\r\n")+string(w.letter(bob).Bytes())))
			o, err := w.process(w.envelope("out", "alice@own.example", bob), m)
			if err != nil {
				t.Fatal(err)
			}
			d := o.Deliveries[0]
			if hidden := d.Message.Get("Subject") == "[...]"; hidden != tt.hidden || d.Treatment.HiddenSubject != tt.hidden || asked != tt.asked {
				t.Errorf("outside the subject is %q, %+v; asked for %q", d.Message.Get("Subject"), d.Treatment, asked)
			}
			if said := strings.Contains(strings.Join(steps, ","), "hide the subject"); said != (tt.hidden && !tt.p.ProtectEncrypted) {
				t.Errorf("steps %q", steps)
			}
			x, err := w.gateway.Explain(t.Context(), w.envelope("out", "alice@own.example", bob), m)
			if err != nil {
				t.Fatal(err)
			}
			if why := x.Recipients[0].SubjectHidden; why != tt.why() {
				t.Errorf("explained: hidden because %q, want %q", why, tt.why())
			}
			if read := w.read(d.Message); read.Message.Get("Subject") != "confidential-subject" || read.HidSubject() != tt.hidden {
				t.Errorf("opened the subject is %q, confidential %q", read.Message.Get("Subject"), read.Confidential())
			}
		})
	}
}

// TestHiddenSubjectsAreNoted: what is known of an inbound message says whether its subject
// was hidden.
func TestHiddenSubjectsAreNoted(t *testing.T) {
	for _, headers := range []smime.HeaderProtection{smime.HeadersOpen, smime.HeadersCipher} {
		w := newWorld(t)
		w.config.Policy = mustCompile(t, enforce.Rule{Name: "default", Sign: "never", Encrypt: "require", Profile: enforce.DefaultProfile})
		w.config.Profiles = map[string]Profile{enforce.DefaultProfile: {ProtectEncrypted: headers == smime.HeadersCipher}}
		w.start()
		sent, err := w.send(bob)
		if err != nil {
			t.Fatal(err)
		}
		read := w.read(sent.Deliveries[0].Message)
		if found(&opened{*read, false}).HiddenSubject != (headers == smime.HeadersCipher) {
			t.Errorf("%q: %q", headers, read.Confidential())
		}
	}
}

// TestTheProtectedMessageIDIsNoted: of what hid its subject, the Message-ID inside is noted
// where it is not the one outside, for an answer may name either.
func TestTheProtectedMessageIDIsNoted(t *testing.T) {
	for name, tt := range map[string]struct {
		headers smime.HeaderProtection
		outside string
		want    string
	}{
		"another":         {smime.HeadersCipher, "<outside@enc.example>", "<1@own.example>"},
		"with a comment":  {smime.HeadersCipher, "<1@own.example> (seen)", ""},
		"the same":        {smime.HeadersCipher, "<1@own.example>", ""},
		"nothing was hid": {smime.HeadersOpen, "<outside@enc.example>", ""},
	} {
		w := newWorld(t)
		var got []Decision
		w.config.Decided = func(d Decision) { got = append(got, d) }
		w.start()
		id, err := w.keys.Signing(t.Context(), w.addr(alice))
		if err != nil {
			t.Fatal(err)
		}
		sealed, err := smime.Encrypt(w.letter(alice), []*x509.Certificate{id.Certificate}, smime.EncryptOptions{Headers: tt.headers})
		if err != nil {
			t.Fatal(err)
		}
		m := mustMessage(t, []byte(strings.Replace(string(sealed.Bytes()), "Message-ID: <1@own.example>", "Message-ID: "+tt.outside, 1)))
		w.arrives(m, alice)
		if len(got) != 1 || got[0].ProtectedID != tt.want || got[0].Treatment.HiddenSubject != (tt.headers == smime.HeadersCipher) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
