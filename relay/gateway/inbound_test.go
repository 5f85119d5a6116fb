package gateway

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/directory"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/cms"
	"github.com/smimerelay/smimerelay/smime/message"
)

// receive passes a message from outside to alice through the gateway and
// returns what she gets, after what holds for every one was checked.
func (w *world) receive(msg *message.Message) *message.Message {
	w.t.Helper()
	o, err := w.process(w.envelope("in", "bob@enc.example", "alice@own.example"), msg)
	if err != nil {
		w.t.Fatal(err)
	}
	if len(o.Deliveries) != 1 || len(o.Refused)+len(o.Stripped)+len(o.Notices) != 0 {
		w.t.Fatalf("outcome:\n%s", w.outline(o))
	}
	m := o.Deliveries[0].Message
	if n := len(m.All(statusField)); n != 1 {
		w.t.Errorf("%d fields X-SMIME-Status", n)
	}
	ours := 0
	for _, f := range m.Fields() {
		if f.Is(resultsField) && forged(f, "gw.own.example") {
			ours++
		}
	}
	if ours != 1 {
		w.t.Errorf("%d Authentication-Results of the gateway", ours)
	}
	return m
}

// status of a delivered message: its word.
func statusWord(m *message.Message) string {
	word, _, _ := strings.Cut(m.Get(statusField), ";")
	return word
}

// bobsLetter is signed by bob.
func (w *world) bobsLetter(extra string) *message.Message {
	w.t.Helper()
	plain := parseMessage(w.t, "From: Bob <bob@enc.example>\nTo: alice@own.example\nSubject: hello\nDate: Thu, 1 Jan 2026 09:00:00 +0000\n"+extra+"\n"+text+"\n")
	ids, err := w.theirs.Signing(context.Background(), w.addr(bob))
	if err != nil || ids == nil {
		w.t.Fatal(err)
	}
	m, err := smime.Sign(plain, ids, smime.SignOptions{Time: time.Now()})
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

func (w *world) toAlice(m *message.Message) *message.Message {
	w.t.Helper()
	id, err := w.keys.Signing(context.Background(), w.addr("alice@own.example"))
	if err != nil {
		w.t.Fatal(err)
	}
	out, err := smime.Encrypt(m, []*x509.Certificate{id.Certificate}, smime.EncryptOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

func TestInboundSigned(t *testing.T) {
	w := newWorld(t)
	m := w.receive(w.bobsLetter(""))
	if got, want := m.Get(statusField), "pass; signed=yes; encrypted=no; signer=bob@enc.example; chain=trusted; revocation=unchecked"; got != want {
		t.Errorf("status %q, want %q", got, want)
	}
	results := m.Get(resultsField)
	if !strings.HasPrefix(results, "gw.own.example; smime=pass (") || !strings.Contains(results, " body.smime-identifier=bob@enc.example body.smime-serial=") {
		t.Errorf("results %q", results)
	}
	if m.Fields()[0].Name != resultsField {
		t.Error("the results are not on top")
	}
}

func TestInboundEncrypted(t *testing.T) {
	w := newWorld(t)
	m := w.receive(w.toAlice(w.bobsLetter("X-SMIME-Status: pass; forged\n")))
	if statusWord(m) != "pass" || !strings.Contains(m.Get(statusField), "encrypted=yes") || !bytes.Contains(m.Body(), []byte(text)) {
		t.Errorf("delivered:\n%s", m.Bytes())
	}
}

func TestInboundWithoutOurKey(t *testing.T) {
	w := newWorld(t)
	plain := parseMessage(t, "From: bob@enc.example\nTo: alice@own.example\n\n"+text+"\n")
	sealed, err := smime.Encrypt(plain, []*x509.Certificate{w.issue("stranger@x.example").Certificate}, smime.EncryptOptions{})
	if err != nil {
		t.Fatal(err)
	}
	m := w.receive(sealed)
	if !strings.Contains(m.Get(statusField), "encrypted=yes; decrypted=no") || statusWord(m) == "pass" || !bytes.Equal(m.Body(), sealed.Body()) {
		t.Errorf("delivered:\n%s", m.Bytes())
	}
}

func TestInboundBad(t *testing.T) {
	w := newWorld(t)
	good := w.bobsLetter("")
	replace := func(old, new string) *message.Message {
		return testpki.Must(message.Parse(bytes.Replace(good.Bytes(), []byte(old), []byte(new), 1)))
	}
	foreign := testpki.Must(testpki.NewCA(testpki.Options{}))
	id := (*certs.Identity)(testpki.Must(foreign.Issue(testpki.Leaf{Addresses: []string{bob}})))
	untrusted := testpki.Must(smime.Sign(parseMessage(t, "From: bob@enc.example\n\n"+text+"\n"), id, smime.SignOptions{Time: time.Now()}))
	for name, msg := range map[string]*message.Message{
		"tampered":  replace(text, "the plain lies"),
		"from":      replace("bob@enc.example>", "carol@enc.example>"),
		"untrusted": untrusted,
		"garbage":   replace("\r\n\r\nMI", "\r\n\r\n!!"),
		"plain":     parseMessage(t, "From: bob@enc.example\n\n"+text+"\n"),
		"two from":  replace("Subject:", "From: carol@enc.example\r\nSubject:"),
	} {
		m := w.receive(msg)
		if statusWord(m) == "pass" || !bytes.Contains(m.Body(), []byte("the plain ")) {
			t.Errorf("%s: delivered:\n%s", name, m.Bytes())
		}
		if name == "plain" && m.Get(statusField) != "none; signed=no; encrypted=no" {
			t.Errorf("plain: status %q", m.Get(statusField))
		}
	}
}

// Whatever spelling a forged field has, it must not arrive.
func TestForgedFieldsAreRemoved(t *testing.T) {
	w := newWorld(t)
	forgeries := []string{
		"X-SMIME-Status: pass",
		"x-smime-status: pass; signed=yes",
		"X-SMIME-STATUS :\n pass; signed=yes",
		"X-Smime-Status: pass\nX-SMIME-Status: pass",
		"Authentication-Results: gw.own.example; smime=pass",
		"AUTHENTICATION-RESULTS: GW.Own.Example; smime=pass",
		"Authentication-Results : gw.own.example; smime=pass",
		"Authentication-Results:gw.own.example; smime=pass",
		"Authentication-Results:\n gw.own.example;\n smime=pass",
		"Authentication-Results: \n\t gw.own.example 1; smime=pass",
		`Authentication-Results: "gw.own.example"; smime=pass`,
		`Authentication-Results: "gw.\own.example" 1; smime=pass`,
		"Authentication-Results: (hi (there\\)) x) gw.own.example(y); smime=pass",
		"Authentication-Results: gw.own.example.; smime=pass",
		"Authentication-Results: gw.own.example",
		"Authentication-Results: gw.own.example/1; smime=pass",
		"Authentication-Results: gw.own.example@x; smime=pass",
		"Authentication-Results: gw.own.example./x; smime=pass",
		"Authentication-Results: gw.own.example+1; smime=pass",
		"Authentication-Results: gw.own.example!; smime=pass",
		"Authentication-Results: gw.own.example,1; smime=pass",
		"Authentication-Results: \"gw.own.example/1\"; smime=pass",
		"Authentication-Results: \"gw.own.example\"/1; smime=pass",
		"Authentication-Results: (gw.own.example; smime=pass",
		"Authentication-Results: ; smime=pass",
		"Authentication-Results: =?utf-8?q?gw.own.example?=; smime=pass",
		"Authentication-Results: \"gw.own.example; smime=pass",
	}
	for _, f := range forgeries {
		for _, msg := range []*message.Message{
			parseMessage(t, f+"\nFrom: bob@enc.example\n\n"+text+"\n"),
			parseMessage(t, "From: bob@enc.example\n"+f+"\n\n"+text+"\n"),
		} {
			m := w.receive(msg)
			if strings.Contains(string(m.Bytes()), "smime=pass") || statusWord(m) != "none" {
				t.Errorf("%q arrives:\n%s", f, m.Bytes())
			}
		}
		// And none beside a real one.
		if m := w.receive(w.bobsLetter(f + "\n")); statusWord(m) != "pass" || strings.Count(string(m.Bytes()), "smime=pass") != 1 {
			t.Errorf("%q beside a good signature:\n%s", f, m.Header())
		}
		if m := w.receive(w.toAlice(parseMessage(t, "From: bob@enc.example\n"+f+"\n\n"+text+"\n"))); statusWord(m) == "pass" || strings.Contains(string(m.Header()), "smime=pass") {
			t.Errorf("%q in an encrypted message:\n%s", f, m.Header())
		}
	}
}

func TestResultsOfOthersStay(t *testing.T) {
	w := newWorld(t)
	others := []string{
		"Authentication-Results: mx.own.example; dkim=pass header.d=x.example",
		"Authentication-Results: gw.own.example.evil.example; smime=pass",
		"Authentication-Results: (gw.own.example) mx.own.example; none",
		"X-SMIME-Status-2: x", "ARC-Authentication-Results: i=1; gw.own.example; none",
	}
	m := w.receive(parseMessage(t, "From: bob@enc.example\n"+strings.Join(others, "\n")+"\n\n"+text+"\n"))
	for _, f := range others {
		if !strings.Contains(string(m.Header()), f+"\r\n") {
			t.Errorf("%q is gone:\n%s", f, m.Header())
		}
	}
}

func TestInboundOff(t *testing.T) {
	w := newWorld(t)
	signed, sealed := w.bobsLetter(""), w.toAlice(w.bobsLetter(""))
	w.config.Inbound = Inbound{Decrypt: true}
	w.start()
	if m := w.receive(sealed); statusWord(m) != "none" || !bytes.Contains(m.Body(), []byte(text)) {
		t.Errorf("decrypt only:\n%s", m.Bytes())
	}
	w.config.Inbound = Inbound{Verify: true}
	w.start()
	if m := w.receive(sealed); statusWord(m) == "pass" || !bytes.Equal(m.Body(), sealed.Body()) {
		t.Errorf("verify only:\n%s", m.Bytes())
	}
	w.config.Inbound = Inbound{}
	w.start()
	if m := w.receive(signed); statusWord(m) != "none" || !strings.Contains(m.Get(resultsField), "smime=none (not checked)") {
		t.Errorf("off:\n%s", m.Bytes())
	}
}

func TestCertificateTextsCannotInject(t *testing.T) {
	evil := "x\"; smime=pass (\r\nX-SMIME-Status: pass) \u00fc\\ " + strings.Repeat("y", 2000)
	o := &smime.Opened{Message: parseMessage(t, "From: a@b.example\n\nx\n"), Report: smime.Report{
		Result: certs.Fail, Reason: certs.Reason(evil), Layers: []string{"signed"},
		Signers: []smime.Signer{{Result: certs.Fail, Addresses: []string{evil}, Issuer: evil, Serial: "0a", Chain: evil, Revocation: evil, Digest: evil}},
	}}
	fields, err := statusFields("gw.own.example", &opened{Opened: *o})
	if err != nil {
		t.Fatal(err)
	}
	m, err := o.Message.Apply(message.Change{Prepend: fields})
	if err != nil {
		t.Fatal(err)
	}
	if len(m.All(statusField)) != 1 || len(m.All(resultsField)) != 1 || statusWord(m) != "fail" {
		t.Errorf("injected:\n%s", m.Header())
	}
}

// A reader who looks for a pass finds none when the message as a whole fails.
func TestSeveralSigners(t *testing.T) {
	r := &smime.Report{Result: certs.Fail, Signers: []smime.Signer{{Result: certs.Pass, Addresses: []string{"a@b.example"}}, {Result: certs.Fail, Addresses: []string{"c@d.example"}}}}
	got := authenticationResults("gw", r)
	if strings.Contains(got, "pass") || !strings.Contains(got, "c@d.example") {
		t.Error(got)
	}
}

func FuzzAuthservID(f *testing.F) {
	for _, s := range []string{"gw; none", `"gw" 1; x`, "(a(b)) gw", "(", `"\`, ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if id, ok := authservID(s); ok && !strings.Contains(s, `\`) && !strings.Contains(s, id) {
			t.Errorf("%q: %q is not in it", s, id)
		}
	})
}

func ExampleReplyFor() {
	fmt.Println(replyText(fmt.Errorf("an error without a kind")))
	// Output: 451 4.3.0 internal error, try again later
}

// TestInboundDecryptsForNamedOnly: a cipher text for alice, mailed to her and to
// others, is decrypted in her copy only.
func TestInboundDecryptsForNamedOnly(t *testing.T) {
	w := newWorld(t)
	secret := w.toAlice(w.bobsLetter(""))
	env := w.envelope("in", "mallory@else.example", "mallory@own.example", "Alice@own.example", "eve@own.example")
	o, err := w.process(env, secret)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range o.Deliveries {
		plain := bytes.Contains(d.Message.Bytes(), []byte(text))
		for _, r := range d.Recipients {
			if alice := r.Address.Local() == "Alice"; plain != alice {
				t.Errorf("%s: plain text %t", r.Address, plain)
			}
		}
		if want := map[bool]string{true: "pass", false: "none"}[plain]; statusWord(d.Message) != want {
			t.Errorf("plain %t: status %q, want %q", plain, d.Message.Get(statusField), want)
		}
	}
	if len(o.Deliveries) != 2 {
		t.Errorf("%d deliveries, want alice's and the others'", len(o.Deliveries))
	}
}

func TestInboundDecryptsForAnyone(t *testing.T) {
	w := newWorld(t)
	w.config.Inbound.DecryptFor = ForAnyone
	w.start()
	o, err := w.process(w.envelope("in", "bob@enc.example", "alias@own.example"), w.toAlice(w.bobsLetter("")))
	if err != nil {
		t.Fatal(err)
	}
	if len(o.Deliveries) != 1 || !bytes.Contains(o.Deliveries[0].Message.Bytes(), []byte(text)) {
		t.Errorf("not decrypted:\n%s", w.outline(o))
	}
}

// TestInboundDecryptsForExtensions: mail for an extension of a mailbox is decrypted
// with the identity of the mailbox, where there are extensions.
func TestInboundDecryptsForExtensions(t *testing.T) {
	for _, tt := range []struct {
		delimiters, to string
		plain          bool
	}{
		{"+", "alice+lists@own.example", true},
		{"-+", "Alice+lists@own.example", true},
		{"-", "alice+lists@own.example", false},
		{"", "alice+lists@own.example", false},
		{"+", "mallory+alice@own.example", false},
	} {
		w := newWorld(t)
		w.config.Delimiters = tt.delimiters
		w.start()
		o, err := w.process(w.envelope("in", "bob@enc.example", tt.to, "eve@own.example"), w.toAlice(w.bobsLetter("")))
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range o.Deliveries {
			for _, r := range d.Recipients {
				want := tt.plain && r.Address.String() == tt.to
				if got := bytes.Contains(d.Message.Bytes(), []byte(text)); got != want {
					t.Errorf("%q, %s: plain text %t", tt.delimiters, r.Address, got)
				}
			}
		}
	}
}

// TestInboundDecryptsForAliases: mail for an address is decrypted with the identity of
// another one that a directory lists for the same mailbox, in local domains, and waits
// while no directory can say whose it is.
func TestInboundDecryptsForAliases(t *testing.T) {
	for _, tt := range []struct {
		to      string
		aliases string // of the mailbox without the extension
		domains string
		fails   bool
		plain   bool
	}{
		{to: "a.lund@own.example", aliases: "alice@own.example", plain: true},
		{to: "A.Lund@own.example", aliases: "other@own.example ALICE@own.example", plain: true},
		{to: "a.lund+lists@own.example", aliases: "alice@own.example", plain: true},
		{to: "a.lund@own.example", aliases: "other@own.example"},
		{to: "a.lund@own.example"},
		{to: "a.lund@far.example", aliases: "alice@own.example"},
		{to: "a.lund@far.example", aliases: "alice@own.example", domains: "far.example", plain: true},
		{to: "a.lund@own.example", fails: true},
	} {
		w, f := groupWorld(t)
		w.config.Delimiters = "+"
		if tt.domains != "" {
			w.config.Domains = append(w.config.Domains, tt.domains)
		}
		w.start()
		mailbox := strings.ToLower(strings.Replace(tt.to, "+lists", "", 1))
		f.members["aliases of "+mailbox] = tt.aliases
		f.errs[mailbox] = tt.fails
		o, err := w.process(w.envelope("in", "bob@enc.example", "alice@own.example", tt.to, "eve@own.example"), w.toAlice(w.bobsLetter("")))
		if tt.fails {
			if code := relay.ReplyFor(err).Code; err == nil || code != 451 || !strings.Contains(w.log.String(), "secret-host") || strings.Contains(relay.ReplyFor(err).Text, "secret-host") {
				t.Errorf("%s, no answer: %v, log:\n%s", tt.to, err, w.log)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range o.Deliveries {
			for _, r := range d.Recipients {
				want := tt.plain && r.Address.String() == tt.to || r.Address.Local() == "alice"
				if got := bytes.Contains(d.Message.Bytes(), []byte(text)); got != want {
					t.Errorf("%s, aliases %q: %s has plain text %t", tt.to, tt.aliases, r.Address, got)
				}
			}
		}
	}
}

// TestAliasesCountInLocalDomains: a directory cannot make a mailbox outside one of the
// house, whose identities could read for it.
func TestAliasesCountInLocalDomains(t *testing.T) {
	w, f := groupWorld(t)
	w.config.Domains = []string{"far.example"}
	w.start()
	f.members["aliases of a.lund@far.example"] = "alice@own.example"
	o, err := w.process(w.envelope("in", "bob@enc.example", "a.lund@far.example"), w.toAlice(w.bobsLetter("")))
	if err != nil || bytes.Contains(o.Deliveries[0].Message.Bytes(), []byte(text)) {
		t.Errorf("decrypted with an identity of another domain, %v", err)
	}
}

// TestAliasesAreNotAskedForNothing: while every recipient is named by the identity no
// directory is asked, so that none can keep the message waiting.
func TestAliasesAreNotAskedForNothing(t *testing.T) {
	w, f := groupWorld(t)
	f.errs["alice@own.example"] = true
	o, err := w.process(w.envelope("in", "bob@enc.example", "alice@own.example"), w.toAlice(w.bobsLetter("")))
	if err != nil || !bytes.Contains(o.Deliveries[0].Message.Bytes(), []byte(text)) || f.asked["owner of alice@own.example"] > 0 {
		t.Errorf("%v, asked %v", err, f.asked)
	}
}

// TestNoKeyNamesWhatWasCompared: the log names the recipients, the key that is there
// for another recipient, and the remedy; the message says nothing of the kind.
func TestNoKeyNamesWhatWasCompared(t *testing.T) {
	w := newWorld(t)
	secret := w.toAlice(w.bobsLetter(""))
	for _, to := range [][]string{{"alias@own.example"}, {"alice@own.example", "alias@own.example"}} {
		w.log.Reset()
		o, err := w.process(w.envelope("in", "bob@enc.example", to...), secret)
		if err != nil {
			t.Fatal(err)
		}
		want := `no-key: the gateway has a key of "alice@own.example" for it, but not of "alias@own.example"; ` +
			`if both are the same mailbox, set recipient_delimiter, aliases of a [[directory]], or inbound.decrypt_for = "any"`
		if want = strings.ReplaceAll(want, `"`, `\"`); !strings.Contains(w.log.String(), want) {
			t.Errorf("%q: the log does not say %s:\n%s", to, want, w.log)
		}
		for _, d := range o.Deliveries {
			if got := d.Message.Get(statusField) + d.Message.Get(resultsField); strings.Contains(got, "alice") || strings.Contains(got, "decrypt_for") {
				t.Errorf("%q: the message says %s", to, got)
			}
		}
	}
	x, err := w.gateway.Explain(t.Context(), w.envelope("in", "bob@enc.example", "alias@own.example"), secret)
	if err != nil {
		t.Fatal(err)
	}
	if len(x.Inbound) != 1 || !strings.Contains(x.Inbound[0].Report.Detail, `a key of "alice@own.example" for it, but not of "alias@own.example"`) {
		t.Errorf("explain says %+v", x.Inbound)
	}
}

// TestNoKeyNamesTheAddressees: where the gateway has no key at all the log names the
// certificates that the message is encrypted to.
func TestNoKeyNamesTheAddressees(t *testing.T) {
	w := newWorld(t)
	stranger := w.issue("stranger@own.example").Certificate
	m := testpki.Must(smime.Encrypt(w.bobsLetter(""), []*x509.Certificate{stranger}, smime.EncryptOptions{}))
	if _, err := w.process(w.envelope("in", "bob@enc.example", "alice@own.example"), m); err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("no-key: it is encrypted to serial %x of issuer ", stranger.SerialNumber.Bytes()); !strings.Contains(w.log.String(), want) {
		t.Errorf("the log does not say %s:\n%s", want, w.log)
	}
}

// TestGoodAndBadMailIsToldOf: the harvester hears of every message with its
// result, and not of those that are only explained.
func TestGoodAndBadMailIsToldOf(t *testing.T) {
	w := newWorld(t)
	var learned []*smime.Report
	w.config.Learn = func(r *smime.Report) { learned = append(learned, r) }
	w.start()
	letter := w.bobsLetter("")
	broken := testpki.Must(message.Parse(bytes.Replace(letter.Bytes(), []byte(text), []byte("another text"), 1)))
	w.receive(letter)
	w.receive(broken)
	if _, err := w.gateway.Explain(context.Background(), w.nameless(bob, "alice@own.example"), letter); err != nil {
		t.Fatal(err)
	}
	if len(learned) != 2 || learned[0].Result != certs.Pass || learned[0].Author != w.addr(bob) || learned[1].Result != certs.Fail {
		t.Fatalf("learned %+v", learned)
	}
	s := learned[0].Signers[0]
	if s.Capabilities == nil || len(s.Bundle) == 0 || learned[1].Signers[0].Capabilities != nil || learned[1].Signers[0].Bundle != nil {
		t.Errorf("learned of the signers %+v, %+v", s, learned[1].Signers[0])
	}
}

// TestCipherIsTheRecipients: what is known of a candidate decides.
func TestCipherIsTheRecipients(t *testing.T) {
	w := newWorld(t)
	cipher := func() string {
		o, err := w.send(bob)
		if err != nil {
			t.Fatal(err)
		}
		return string(w.read(o.Deliveries[0].Message).Report.Encryption.Cipher)
	}
	if got := cipher(); got != "aes-256-cbc" {
		t.Errorf("nothing is known: %s", got)
	}
	r := w.dir.results[bob]
	r.Candidates = []directory.Candidate{{Certificate: r.Certificates[0], Ciphers: []cms.Cipher{cms.AES256GCM, cms.AES128CBC}, Verdict: certs.Verdict{Result: certs.Pass}}}
	w.dir.results[bob] = r
	if got := cipher(); got != "aes-256-gcm" {
		t.Errorf("GCM is preferred: %s", got)
	}
}
