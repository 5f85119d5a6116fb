package harvest

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/cms"
)

func base64Lines(b []byte) string {
	var text strings.Builder
	for chunk := range slices.Chunk([]byte(base64.StdEncoding.EncodeToString(b)), 64) {
		text.Write(chunk)
		text.WriteString("\r\n")
	}
	return text.String()
}

func TestSignerIsKept(t *testing.T) {
	w := newWorld(t, nil)
	id := w.issue(10, nil, bob)
	ciphers := []cms.Cipher{cms.AES256GCM, cms.AES128CBC}
	var outcomes []string
	w.Count(func(outcome string) { outcomes = append(outcomes, outcome) })
	w.Message(w.passing(letter{from: bob, signers: []cms.Signer{w.signer(id, ciphers...)}}))
	got := w.wantKept("a good signature", bob, id)
	if !slices.Equal(outcomes, []string{outcomeNew}) {
		t.Errorf("counted %q", outcomes)
	}
	if len(got) != 1 {
		return
	}
	e := got[0]
	if e.Origin != store.Harvested || !slices.Equal(e.Ciphers, ciphers) || !e.SignedAt.Equal(w.now) ||
		e.Result != certs.Pass || e.JudgedAt.IsZero() || len(e.Chain) != 1 || !e.Chain[0].Equal(w.ca.Certificate) {
		t.Errorf("entry %+v", e)
	}
	if text := w.log.String(); strings.Count(text, "msg=harvested") != 1 || strings.Contains(text, "level=WARN") {
		t.Errorf("log:\n%s", text)
	}
}

// TestNothingElseTeaches has everything of which nothing may be kept.
func TestNothingElseTeaches(t *testing.T) {
	w := newWorld(t, nil)
	id, other := w.issue(10, nil, bob), w.issue(10, nil, "carol@partner.example")
	foreign := testpki.Must(testpki.Must(testpki.NewCA(testpki.Options{})).Issue(testpki.Leaf{Addresses: []string{bob}}))
	expired := w.issue(400, nil, bob)
	signing := w.issue(10, func(l *testpki.Leaf) { l.KeyUsage = x509.KeyUsageDigitalSignature }, bob)
	colleague := w.issue(10, nil, "dave@own.example")
	for name, l := range map[string]letter{
		"changed": {from: bob, signers: []cms.Signer{w.signer(id)}, edit: func(s string) string {
			i := strings.Index(s, "\r\n\r\n") + 4
			raw := testpki.Must(base64.StdEncoding.DecodeString(strings.ReplaceAll(s[i:], "\r\n", "")))
			return s[:i] + base64Lines([]byte(strings.Replace(string(raw), "hello", "HELLO", 1)))
		}},
		"another author":          {from: "mallory@partner.example", signers: []cms.Signer{w.signer(id)}},
		"two authors":             {from: bob, signers: []cms.Signer{w.signer(id)}, edit: func(s string) string { return "From: <eve@partner.example>\r\n" + s }},
		"untrusted":               {from: bob, signers: []cms.Signer{w.signer(foreign)}},
		"expired":                 {from: bob, signers: []cms.Signer{w.signer(expired)}},
		"for signing only":        {from: bob, signers: []cms.Signer{w.signer(signing)}},
		"one of two fails":        {from: bob, signers: []cms.Signer{w.signer(id), w.signer(other)}},
		"one of two is a foreign": {from: bob, signers: []cms.Signer{w.signer(id), w.signer(foreign)}},
		"our own domain":          {from: "dave@own.example", signers: []cms.Signer{w.signer(colleague)}},
	} {
		r := w.report(l)
		w.Message(r)
		for _, addr := range []string{bob, "carol@partner.example", "mallory@partner.example", "dave@own.example"} {
			w.wantKept(name+" ("+string(r.Result)+")", addr)
		}
	}
	w.Message(&smime.Report{Result: certs.None, Signers: []smime.Signer{}})
	w.Message(&smime.Report{Result: certs.Pass})
}

// TestRevokedIsNotKept: the signature of a dual pair is good, and its encryption
// certificate is revoked; and a tolerant judge of inbound mail is no judge here.
func TestRevokedIsNotKept(t *testing.T) {
	w := newWorld(t, nil)
	id := w.issue(10, nil, bob)
	r := w.passing(letter{from: bob, signers: []cms.Signer{w.signer(id)}})
	for _, reason := range []certs.Reason{certs.Revoked, certs.RevocationUnknown} {
		w.cfg.Checker = refusing(reason)
		w.flush()
		w.Message(r)
		w.wantKept(string(reason), bob)
	}
}

// refusing is a Checker that refuses everything for one reason.
type refusing certs.Reason

func (r refusing) Check(context.Context, *x509.Certificate, certs.Request) certs.Verdict {
	result := certs.Fail
	if certs.Reason(r) == certs.RevocationUnknown {
		result = certs.TempError
	}
	return certs.Verdict{Result: result, Reason: certs.Reason(r)}
}

func TestDomainsAreChosen(t *testing.T) {
	for name, c := range map[string]struct {
		edit func(*Config)
		want map[string]bool
	}{
		"default": {nil, map[string]bool{bob: true, "dave@own.example": false}},
		"off":     {func(c *Config) { c.Off = true }, map[string]bool{bob: false, "dave@own.example": false}},
		"some":    {func(c *Config) { c.From = patterns("other.example", "own.example") }, map[string]bool{bob: false, "dave@own.example": true}},
		"except":  {func(c *Config) { c.Except = patterns(".example", "partner.example") }, map[string]bool{bob: false}},
		"both": {func(c *Config) { c.From, c.Except = patterns("partner.example"), patterns("carol@partner.example") },
			map[string]bool{bob: true, "carol@partner.example": false}},
	} {
		w := newWorld(t, c.edit)
		for addr, want := range c.want {
			w.Message(w.passing(letter{from: addr, signers: []cms.Signer{w.signer(w.issue(1, nil, addr))}}))
			if got := len(w.kept(addr)) > 0; got != want {
				t.Errorf("%s: %s kept %t", name, addr, got)
			}
		}
	}
}

func TestPreferredCertificate(t *testing.T) {
	w := newWorld(t, nil)
	usage := func(u x509.KeyUsage) func(*testpki.Leaf) {
		return func(l *testpki.Leaf) { l.KeyUsage, l.Key = u, "rsa2048" }
	}
	signing := func(addr string) *testpki.Identity { return w.issue(10, usage(x509.KeyUsageDigitalSignature), addr) }
	sealing := func(addr string) *testpki.Identity { return w.issue(10, usage(x509.KeyUsageKeyEncipherment), addr) }
	foreign := testpki.Must(testpki.Must(testpki.NewCA(testpki.Options{})).Issue(testpki.Leaf{Addresses: []string{bob}}))
	both, pair := w.issue(10, nil, bob), sealing(bob)
	for name, c := range map[string]struct {
		signer    *testpki.Identity
		preferred *testpki.Identity // nil: no attribute
		sent      []*testpki.Identity
		want      []*testpki.Identity
	}{
		"a pair":                         {signing(bob), pair, []*testpki.Identity{pair}, []*testpki.Identity{pair}},
		"a pair, not said":               {signing(bob), nil, []*testpki.Identity{pair}, []*testpki.Identity{pair}},
		"another is preferred":           {both, pair, []*testpki.Identity{pair}, []*testpki.Identity{pair}},
		"preferred, and not sent":        {both, pair, nil, nil},
		"preferred is the signer's":      {both, both, []*testpki.Identity{pair}, []*testpki.Identity{both}},
		"preferred is for signing":       {both, signing(bob), []*testpki.Identity{signing(bob)}, nil},
		"preferred is of another author": {both, sealing("eve@partner.example"), []*testpki.Identity{sealing("eve@partner.example")}, nil},
		"preferred is not to be trusted": {both, foreign, []*testpki.Identity{foreign}, nil},
	} {
		if c.preferred != nil && len(c.sent) == 1 && c.preferred != both {
			c.sent[0] = c.preferred
		}
		s := w.signer(c.signer, cms.AES256GCM)
		if c.preferred != nil {
			s.EncryptionCertificate = c.preferred.Certificate
		}
		l := letter{from: bob, signers: []cms.Signer{s}}
		for _, id := range c.sent {
			l.extra = append(l.extra, id.Certificate)
		}
		w.Message(w.passing(l))
		for _, e := range w.wantKept(name, bob, c.want...) {
			if !slices.Equal(e.Ciphers, []cms.Cipher{cms.AES256GCM}) {
				t.Errorf("%s: ciphers %v", name, e.Ciphers)
			}
			testpki.Must(w.store.Forget(context.Background(), e.Fingerprint))
		}
		for _, e := range w.kept("eve@partner.example") {
			t.Errorf("%s: kept %v", name, e.Addresses)
		}
	}
}

// TestOldMailDoesNotLowerCiphers: a message that is sent again, later messages
// with an earlier time, and times that have not come.
func TestOldMailDoesNotLowerCiphers(t *testing.T) {
	w := newWorld(t, nil)
	id := w.issue(10, nil, bob)
	at := func(offset time.Duration, ciphers ...cms.Cipher) *smime.Report {
		s := w.signer(id, ciphers...)
		s.Time = w.clock().Add(offset)
		return w.passing(letter{from: bob, signers: []cms.Signer{s}})
	}
	old := at(-48*time.Hour, cms.AES128CBC)
	step := func(name string, r *smime.Report, want ...cms.Cipher) {
		t.Helper()
		w.Message(r)
		got := w.wantKept(name, bob, id)
		if len(got) == 1 && !slices.Equal(got[0].Ciphers, want) {
			t.Errorf("%s: %v, want %v", name, got[0].Ciphers, want)
		}
	}
	step("the first", old, cms.AES128CBC)
	step("a newer one", at(0, cms.AES256GCM), cms.AES256GCM)
	step("the first again", old, cms.AES256GCM)
	step("one of a day to come", at(24*time.Hour, cms.AES128CBC), cms.AES256GCM)
	untimed := w.signer(id, cms.AES128CBC)
	untimed.Time = time.Time{}
	step("one without a time", w.passing(letter{from: bob, signers: []cms.Signer{untimed}}), cms.AES256GCM)
	w.advance(time.Minute)
	step("a newer one that reads less", at(0, cms.AES256CBC), cms.AES256CBC)
	step("one that says nothing", at(0, []cms.Cipher{}...), cms.AES256CBC)
}

func TestRenewedCertificateComesFirst(t *testing.T) {
	w := newWorld(t, nil)
	old, young := w.issue(100, nil, bob), w.issue(1, nil, bob)
	for _, id := range []*testpki.Identity{young, old} {
		w.Message(w.passing(letter{from: bob, signers: []cms.Signer{w.signer(id)}}))
	}
	w.wantKept("both", bob, young, old)
	w.advance(300 * 24 * time.Hour) // the old one has ended, and something is learned again
	w.flush()
	w.Message(w.passing(letter{from: "carol@partner.example", signers: []cms.Signer{w.signer(w.issue(1, nil, "carol@partner.example"))}}))
	w.wantKept("after its end", bob, young)
}

// TestNothingIsWrittenTwice: who writes often costs the store nothing.
func TestNothingIsWrittenTwice(t *testing.T) {
	w := newWorld(t, nil)
	id := w.issue(10, nil, bob)
	r := w.passing(letter{from: bob, signers: []cms.Signer{w.signer(id)}})
	w.Message(r)
	learned := make(chan struct{})
	w.enqueue(func(context.Context) { close(learned) }) // one job after the other
	<-learned
	h := w.Harvester
	h.mu.Lock()
	before := len(h.jobs)
	h.mu.Unlock()
	for range 10 {
		h.Message(r)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.jobs) != before {
		t.Errorf("%d jobs", len(h.jobs))
	}
}

// BenchmarkKnownSigner is what a message of a correspondent with nothing new to say
// costs.
func BenchmarkKnownSigner(b *testing.B) {
	w := newWorld(b, nil)
	id := w.issue(10, nil, bob)
	r := w.passing(letter{from: bob, signers: []cms.Signer{w.signer(id)}})
	w.recent.put(sha256.Sum256(id.Certificate.Raw), lesson(r.Signers[0]), w.clock())
	for b.Loop() {
		w.Message(r)
	}
}
