package directory

import (
	"context"
	"crypto/x509"
	"slices"
	"testing"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/path"
	"github.com/smimerelay/smimerelay/certs/revocation"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// storedWorld has one certificate of bob's in each of three sources: imported, from
// mail, in a company's directory.
type storedWorld struct {
	imported, harvested, listed *x509.Certificate
	store                       *store.Store
	sources                     []SourceConfig
}

func newStoredWorld(t *testing.T) *storedWorld {
	t.Helper()
	w := &storedWorld{
		imported: issue(t, bob, 0), harvested: issue(t, bob, 0), listed: issue(t, bob, 0),
		store: openStore(t, ""),
	}
	w.put(t, store.Imported, w.imported)
	w.put(t, store.Harvested, w.harvested)
	w.sources = sources(
		NewStored("store", w.store, store.Imported, store.Issued),
		NewStored("harvested", w.store, store.Harvested),
		&fakeSource{name: "corp", list: []*x509.Certificate{w.listed}},
	)
	return w
}

func (w *storedWorld) put(t *testing.T, origin store.Origin, c *x509.Certificate) {
	t.Helper()
	if _, err := w.store.Put(context.Background(), origin, store.New{Certificate: c}); err != nil {
		t.Fatal(err)
	}
}

// TestOrderWithTheStore: a usable certificate ends the search, merge goes on, and
// the order is that of the configuration.
func TestOrderWithTheStore(t *testing.T) {
	t.Parallel()
	w := newStoredWorld(t)
	for name, c := range map[string]struct {
		order  []int // of the sources
		merge  []int // those with merge
		refuse []*x509.Certificate
		want   []*x509.Certificate
		asked  int
	}{
		"imported first":              {[]int{0, 1, 2}, nil, nil, []*x509.Certificate{w.imported}, 1},
		"the directory first":         {[]int{2, 0, 1}, nil, nil, []*x509.Certificate{w.listed}, 1},
		"mail before the rest":        {[]int{1, 0, 2}, nil, nil, []*x509.Certificate{w.harvested}, 1},
		"mail and the next":           {[]int{1, 2, 0}, []int{1}, nil, []*x509.Certificate{w.harvested, w.listed}, 2},
		"all":                         {[]int{0, 1, 2}, []int{0, 1}, nil, []*x509.Certificate{w.imported, w.harvested, w.listed}, 3},
		"imported, and not valid":     {[]int{0, 1, 2}, nil, []*x509.Certificate{w.imported}, []*x509.Certificate{w.harvested}, 2},
		"only the directory's serves": {[]int{0, 1, 2}, nil, []*x509.Certificate{w.imported, w.harvested}, []*x509.Certificate{w.listed}, 3},
	} {
		checker := &fakeChecker{}
		for _, bad := range c.refuse {
			checker.refuse(bad, certs.Fail, certs.Expired)
		}
		cfg := Config{Checker: checker}
		for _, i := range c.order {
			s := w.sources[i]
			s.Merge = slices.Contains(c.merge, i)
			cfg.Sources = append(cfg.Sources, s)
		}
		r := open(t, cfg).Lookup(t.Context(), addr(t, bob))
		if !slices.EqualFunc(r.Certificates, c.want, (*x509.Certificate).Equal) || len(r.Answers) != c.asked {
			t.Errorf("%s: %d certificates after %d answers: %+v", name, len(r.Certificates), len(r.Answers), r.Candidates)
		}
	}
}

// TestHarvestedIsCheckedForRevocation: what was good when the mail came is not
// offered once it is revoked, nor where nothing says whether it is.
func TestHarvestedIsCheckedForRevocation(t *testing.T) {
	t.Parallel()
	w := newStoredWorld(t)
	list := func(revoked ...*x509.Certificate) []*revocation.List {
		der := testpki.Must(testCA().CRL(testpki.CRL{Revoked: revoked}))
		l := testpki.Must(revocation.ParseList(der))
		return []*revocation.List{l}
	}
	for name, c := range map[string]struct {
		lists []*revocation.List
		want  Outcome
		word  certs.Reason
	}{
		"good":    {list(w.imported), Usable, ""},
		"revoked": {list(w.harvested), None, certs.Revoked},
		"none":    {nil, None, certs.NoRevocationInfo},
	} {
		checker := testpki.Must(path.NewValidator(path.Config{
			Anchors: []*x509.Certificate{testCA().Root}, Lists: c.lists, Revocation: certs.RevocationRequire,
		}))
		r := open(t, Config{Checker: checker, Sources: w.sources[1:2]}).Lookup(t.Context(), addr(t, bob))
		if r.Outcome != c.want || len(r.Candidates) != 1 || r.Candidates[0].Verdict.Reason != c.word {
			t.Errorf("%s: %s, %+v", name, r.Outcome, r.Candidates)
		}
	}
}

// TestStoreTellsCiphersOfOtherSources: what mail said about a certificate counts where
// a directory has it.
func TestStoreTellsCiphersOfOtherSources(t *testing.T) {
	t.Parallel()
	w := newStoredWorld(t)
	ciphers := []cms.Cipher{cms.AES256GCM}
	if _, err := w.store.Put(context.Background(), store.Harvested, store.New{Certificate: w.listed, Ciphers: ciphers}); err != nil {
		t.Fatal(err)
	}
	d := open(t, Config{Sources: w.sources[2:], Capabilities: w.store})
	if r := d.Lookup(t.Context(), addr(t, bob)); len(r.Candidates) != 1 || !slices.Equal(r.Candidates[0].Ciphers, ciphers) {
		t.Errorf("candidates %+v", r.Candidates)
	}
}

// TestStoreThatDoesNotAnswerIsUnknown: it is unknown whether there is one.
func TestStoreThatDoesNotAnswerIsUnknown(t *testing.T) {
	t.Parallel()
	w := newStoredWorld(t)
	closed := openStore(t, "")
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	empty := &fakeSource{name: "corp"}
	for name, c := range map[string]struct {
		last *fakeSource
		want Outcome
	}{"and no other source has one": {empty, Unknown}, "and another source has one": {&fakeSource{name: "corp", list: []*x509.Certificate{w.listed}}, Usable}} {
		d := open(t, Config{Sources: sources(NewStored("harvested", closed, store.Harvested), c.last), Capabilities: closed})
		if r := d.Lookup(t.Context(), addr(t, bob)); r.Outcome != c.want {
			t.Errorf("%s: %s", name, r.Outcome)
		}
	}
}
