package ca_test

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/ca"
	"github.com/smimerelay/smimerelay/smime/address"
)

var errNotIssued = errors.New("not issued")

// ledger is a ca.Ledger in memory, for authorities whose names differ.
type ledger struct {
	mu      sync.Mutex
	issued  []noted
	revoked map[string]x509.RevocationListEntry
	number  int64
	lists   map[string][]byte
	fail    error
	clock   func() time.Time
}

type noted struct {
	cert *x509.Certificate
	at   time.Time
}

func newLedger(clock func() time.Time) *ledger {
	return &ledger{revoked: map[string]x509.RevocationListEntry{}, lists: map[string][]byte{}, clock: clock}
}

func ledgerKey(issuer []byte, serial *big.Int) string { return string(issuer) + serial.String() }

func (l *ledger) Issued(_ context.Context, cert *x509.Certificate) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail == nil {
		l.issued = append(l.issued, noted{cert, l.clock()})
	}
	return l.fail
}

func (l *ledger) IssuedSince(_ context.Context, issuer []byte, at time.Time) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	count := 0
	for _, n := range l.issued {
		if string(n.cert.RawIssuer) == string(issuer) && !n.at.Before(at) {
			count++
		}
	}
	return count, l.fail
}

func (l *ledger) Revoke(_ context.Context, issuer []byte, serial *big.Int, at time.Time, reason int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range l.issued {
		if string(n.cert.RawIssuer) == string(issuer) && n.cert.SerialNumber.Cmp(serial) == 0 {
			if k := ledgerKey(issuer, serial); l.revoked[k].SerialNumber == nil {
				l.revoked[k] = x509.RevocationListEntry{SerialNumber: serial, RevocationTime: at, ReasonCode: reason}
			}
			return l.fail
		}
	}
	return errNotIssued
}

func (l *ledger) Revoked(_ context.Context, issuer []byte, endsAfter time.Time) ([]x509.RevocationListEntry, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []x509.RevocationListEntry
	for _, n := range l.issued {
		e, ok := l.revoked[ledgerKey(issuer, n.cert.SerialNumber)]
		if ok && n.cert.NotAfter.After(endsAfter) {
			list = append(list, e)
		}
	}
	return list, l.fail
}

func (l *ledger) NextCRLNumber(context.Context, []byte) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.number++
	return l.number, l.fail
}

func (l *ledger) KeepCRL(_ context.Context, issuer []byte, _ int64, der []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lists[string(issuer)] = der
	return l.fail
}

func (l *ledger) CRL(_ context.Context, issuer []byte) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lists[string(issuer)], l.fail
}

// world is a root and an issuing authority with their ledger, at a time of its
// own.
type world struct {
	url           string
	now           time.Time
	pair          *ca.Pair
	ledger        *ledger
	root, issuing *ca.Authority
	made          atomic.Int64
}

// rsaKeys are made once, since that takes long: two of each kind.
var rsaKeys sync.Map

// key returns a new key, of RSA one of two.
func (w *world) key(t *testing.T, kind string) ca.PrivateKey {
	t.Helper()
	made := w.made.Add(1)
	name := fmt.Sprintf("%s %d", kind, made%2)
	if k, ok := rsaKeys.Load(name); ok {
		return k.(ca.PrivateKey)
	}
	k, err := ca.GenerateKey(kind)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasPrefix(kind, "rsa") {
		rsaKeys.Store(name, k)
	}
	return k
}

const publishedAt = "http://pki.example.com/smime/"

func newWorld(t *testing.T, key string, profile ca.Profile, domains ...string) *world {
	t.Helper()
	return newWorldAt(t, publishedAt, key, profile, domains...)
}

func newWorldAt(t *testing.T, url, key string, profile ca.Profile, domains ...string) *world {
	t.Helper()
	w := &world{url: url, now: time.Now().Add(-time.Hour).UTC().Truncate(time.Second)}
	clock := func() time.Time { return w.now }
	w.ledger = newLedger(clock)
	pair, err := ca.Create(ca.Plan{
		Organization: "Example GmbH", Country: "DE", URL: url, Key: key, Domains: domains, Clock: clock,
	})
	if err != nil {
		t.Fatal(err)
	}
	w.pair = pair
	w.root = w.authority(t, pair.Root, ca.Root, profile)
	w.issuing = w.authority(t, pair.Issuing, ca.Issuing, profile)
	if err := w.ledger.Issued(t.Context(), pair.Issuing.Certificate); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) authority(t *testing.T, id *certs.Identity, name string, profile ca.Profile) *ca.Authority {
	t.Helper()
	c := ca.Config{
		Certificate: id.Certificate, Key: signer(t, id), Ledger: w.ledger,
		Place: ca.Place{URL: w.url, Name: name}, Profile: profile, Clock: func() time.Time { return w.now },
		Generate: func(kind string) (ca.PrivateKey, error) { return w.key(t, kind), nil },
	}
	if name == ca.Root {
		c.CRLValidity = ca.RootCRLValidity
	}
	a, err := ca.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// issue returns what the issuing authority makes of a request.
func (w *world) issue(t *testing.T, r ca.Request) []*certs.Identity {
	t.Helper()
	ids, err := w.issuing.Issue(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func crl(t *testing.T, a *ca.Authority) []byte {
	t.Helper()
	der, err := a.CRL(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func parse(t *testing.T, text string) address.Address {
	t.Helper()
	a, err := address.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// resign has the issuing authority sign a template as it is.
func resign(t *testing.T, w *world, template *x509.Certificate) []byte {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, w.pair.Issuing.Certificate, template.PublicKey, signer(t, w.pair.Issuing))
	if err != nil {
		t.Fatal(err)
	}
	return der
}
