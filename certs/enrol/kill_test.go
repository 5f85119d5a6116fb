package enrol_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/ca"
	"github.com/smimerelay/smimerelay/certs/enrol"
	"github.com/smimerelay/smimerelay/certs/enrol/builtin"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/testing/killtest"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

func TestMain(m *testing.M) { killtest.Main(m, killedGateway) }

// killedGateway orders from the authority in its store; the settings are the folder of the token
// that makes the keys, "" is none.
func killedGateway(g *killtest.Gateway) error {
	issuing, err := onlyAuthority(context.Background(), g.Store)
	if err != nil {
		return err
	}
	p := &builtin.Provider{Authority: authorityOf(&testing.T{}, g.Store, issuing, g.Clock), PerHour: 10, Store: g.Store}
	en := enrol.Enrolment{Key: "p256", Separate: true, Provider: p, Origin: store.Issued}
	if g.Settings == "" {
		return g.Order(g.Enroller(en, nil))
	}
	f := &tokenInFiles{dir: g.Settings, step: g.Step}
	en.Token = f
	return g.Order(g.Enroller(en, f.find))
}

// onlyAuthority is the one of a store.
func onlyAuthority(ctx context.Context, s *store.Store) (*certs.Identity, error) {
	found, err := s.Find(ctx, store.Query{Origins: []store.Origin{store.Authority}})
	if err != nil || len(found) != 1 {
		return nil, errors.Join(err, errors.New("no authority"))
	}
	return s.Identity(ctx, found[0].Fingerprint)
}

// TestKilled: a process that is killed at any step leaves an order that the next one
// finishes, with the key that was there: no certificate is issued twice, and each that was
// issued is used. With a token no second key is made there.
func TestKilled(t *testing.T) {
	t.Run("keys in the store", func(t *testing.T) { testKilled(t, false) })
	t.Run("keys in a token", func(t *testing.T) { testKilled(t, true) })
}

func testKilled(t *testing.T, inToken bool) {
	t.Helper()
	content := storeWithAuthority(t)
	killtest.Each(t, killtest.InGateway, 12, func(t *testing.T, d *killtest.Death) {
		if err := os.WriteFile(d.URL(), content, 0o600); err != nil {
			t.Fatal(err)
		}
		token := ""
		if inToken {
			token = t.TempDir()
		}
		d.Kill(t, token)
		left := d.Orders(t)
		d.Resume(t, token)
		d.Check(t, left, killtest.Result{Orders: 2, Origin: store.Issued})
		s := d.Store(t)
		issuing := testpki.Must(onlyAuthority(t.Context(), s))
		if n := testpki.Must(s.IssuedSince(t.Context(), issuing.Certificate.RawSubject, time.Time{})); n != 2 {
			t.Errorf("%s: %d certificates in the ledger", d.Name, n)
		}
		if made := len((&tokenInFiles{dir: token}).names()); inToken && made != 2 {
			t.Errorf("%s: %d keys in the token", d.Name, made)
		}
	})
}

// storeWithAuthority is the file of a store.
func storeWithAuthority(t *testing.T) []byte {
	t.Helper()
	url := filepath.Join(t.TempDir(), "store.db")
	s := testpki.Must(store.Open(t.Context(), store.Config{URL: url, Key: sealing, Log: discard}))
	pair := testpki.Must(ca.Create(ca.Plan{Organization: "X", Country: "DE", URL: "http://pki.example.com/", Key: "p256"}))
	_ = testpki.Must(s.PutIdentity(t.Context(), store.Authority, pair.Issuing))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return testpki.Must(os.ReadFile(url))
}
