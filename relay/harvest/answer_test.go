package harvest

import (
	"context"
	"errors"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/address"
)

// TestAnswersTeach keeps what is good for the author who was asked, and nothing else.
func TestAnswersTeach(t *testing.T) {
	yes := func(context.Context) (bool, error) { return true, nil }
	no := func(context.Context) (bool, error) { return false, nil }
	fails := func(context.Context) (bool, error) { return false, errors.New("no answer") }
	author := testpki.Must(address.Parse(bob))
	for name, c := range map[string]struct {
		asked func(context.Context) (bool, error)
		edit  func(*Config)
		make  func(w *world) *testpki.Identity
		pem   bool
		kept  bool
	}{
		"good":            {asked: yes, kept: true},
		"good, in PEM":    {asked: yes, pem: true, kept: true},
		"not asked":       {asked: no},
		"unknown":         {asked: fails},
		"of another":      {asked: yes, make: func(w *world) *testpki.Identity { return w.issue(1, nil, "eve@partner.example") }},
		"expired":         {asked: yes, make: func(w *world) *testpki.Identity { return w.issue(400, nil, bob) }},
		"harvest off":     {asked: yes, edit: func(c *Config) { c.Off = true }},
		"author excluded": {asked: yes, edit: func(c *Config) { c.Except = patterns("partner.example") }},
		"of a stranger": {asked: yes, make: func(*world) *testpki.Identity {
			return testpki.Must(testpki.Must(testpki.NewCA(testpki.Options{Name: "Stranger"})).Issue(testpki.Leaf{Addresses: []string{bob}}))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, c.edit)
			id := w.issue(1, nil, bob)
			if c.make != nil {
				id = c.make(w)
			}
			// The authority's certificate comes along, as programs export it.
			content := append(testpki.EncodeCertificates(id.Certificate), testpki.EncodeCertificates(w.ca.Chain...)...)
			if !c.pem {
				content = id.Certificate.Raw
			}
			files := [][]byte{[]byte("no certificate"), content}
			if !c.pem {
				for _, issuer := range w.ca.Chain {
					files = append(files, issuer.Raw)
				}
			}
			w.Answer(author, files, c.asked)
			var want []*testpki.Identity
			if c.kept {
				want = append(want, id)
			}
			w.wantKept(name, bob, want...)
		})
	}
}
