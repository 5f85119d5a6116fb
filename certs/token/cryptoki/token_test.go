//go:build cgo

package cryptoki

import (
	"context"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/token"
	"github.com/smimerelay/smimerelay/certs/token/contract"
	"github.com/smimerelay/smimerelay/internal/testing/softhsmtest"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/cms"
)

var _ contract.Holder = (*Token)(nil)

const (
	alice = "alice@example.org" // RSA, its certificate is in the token
	bob   = "bob@example.org"   // P-256, its certificate is in the token
	carol = "carol@example.org" // P-384, its certificate is in a file
)

// world is a token with keys, and an authority.
type world struct {
	token *softhsmtest.Token
	ca    *testpki.CA
	certs map[string]*x509.Certificate
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{token: softhsmtest.New(t), ca: testpki.Must(testpki.Must(testpki.NewCA(testpki.Options{})).Intermediate(testpki.Options{Name: "Issuing CA"})), certs: map[string]*x509.Certificate{}}
	w.token.Do(t, func(s *softhsmtest.Session) {
		w.issue(alice, s.RSA("\x01", "a"))
		w.issue(bob, s.EC(elliptic.P256(), "\x02", "b"))
		w.issue(carol, s.EC(elliptic.P384(), "\x03", "c"))
		s.Put("\x01", "A", w.certs[alice])
		s.Put("\x02", "B", w.certs[bob])
		s.Put("\x77", "stranger", w.issue("x@example.org", nil))
		s.Put("\x03", "wrong", w.certs["x@example.org"]) // of another key
	})
	return w
}

func (w *world) issue(addr string, key crypto.PrivateKey) *x509.Certificate {
	id := testpki.Must(w.ca.Issue(testpki.Leaf{Addresses: []string{addr}, PrivateKey: key}))
	w.certs[addr] = id.Certificate
	return id.Certificate
}

// opened is a token, used by a gateway's keys over a socket.
type opened struct {
	*token.Keys
	*Token
}

// open opens the token with carol's certificate beside it.
func (w *world) open(t *testing.T, more string) *opened {
	t.Helper()
	return testpki.Must(w.connect(t, w.token.URI(more), modules, Options{}, append(w.ca.Chain, w.certs[carol])))
}

// connect opens the token of a URI through r, and has the gateway's side ask what it holds.
func (w *world) connect(t *testing.T, uri string, r *registry, o Options, beside []*x509.Certificate) (*opened, error) {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	must(t, err)
	k := &opened{}
	var group sync.WaitGroup
	group.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			group.Go(func() {
				defer conn.Close()
				contract.Serve(conn, conn, func(string) (contract.Holder, error) {
					h, err := open(uri, o, r)
					if err != nil {
						return nil, err
					}
					k.Token = h
					return h, nil
				})
			})
		}
	})
	k.Keys, err = token.Open(token.Config{Token: "unix:" + l.Addr().String(), Certificates: beside, Clock: o.Clock})
	if err != nil && k.Token != nil {
		must(t, k.Token.Close())
	}
	t.Cleanup(func() {
		if k.Keys != nil {
			k.Keys.Close()
		}
		l.Close()
		group.Wait()
		if k.Token != nil {
			k.Token.Close()
		}
	})
	return k, err
}

// close ends both sides.
func (k *opened) close(t *testing.T) {
	t.Helper()
	k.Keys.Close()
	must(t, k.Token.Close())
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// signing returns the identity of addr.
func (k *opened) signing(t *testing.T, addr string) *certs.Identity {
	t.Helper()
	id, err := k.Signing(context.Background(), testpki.Must(address.Parse(addr)))
	must(t, err)
	if id == nil {
		t.Fatalf("no identity for %s", addr)
	}
	return id
}

func TestIdentities(t *testing.T) {
	w := newWorld(t)
	for more, want := range map[string]string{
		"":                                alice + " " + bob + " " + carol,
		";object=a":                       alice,
		";object=A":                       alice, // the certificate's label
		";object=B;type=cert":             bob,
		";id=%02;type=private":            bob,
		";id=%03":                         carol,
		";manufacturer=SoftHSM%20project": alice + " " + bob + " " + carol,
	} {
		k := w.open(t, more)
		var got []string
		for _, a := range []string{alice, bob, carol} {
			id, err := k.Signing(t.Context(), testpki.Must(address.Parse(a)))
			must(t, err)
			if id != nil {
				got = append(got, a)
				if !id.Certificate.Equal(w.certs[a]) || len(id.Chain) != len(w.ca.Chain) {
					t.Errorf("%q: %s has the certificate of %v, and a chain of %d", more, a, id.Certificate.Subject, len(id.Chain))
				}
			}
		}
		if s := strings.Join(got, " "); s != want || len(k.Identities()) != len(got) || k.Err() != nil {
			t.Errorf("%q: %s, want %s; %d identities, %v", more, s, want, len(k.Identities()), k.Err())
		}
		k.close(t)
	}
}

// What only a person can mend is said at once, without the PIN.
func TestRefused(t *testing.T) {
	w := newWorld(t)
	good := w.token.URI("")
	for name, c := range map[string]struct{ uri, want string }{
		"no library":      {strings.Replace(good, softhsmtest.Module, "/nowhere.so", 1), "module-path"},
		"folder":          {strings.Replace(good, softhsmtest.Module, "/usr/lib", 1), "is a folder"},
		"not a library":   {strings.Replace(good, softhsmtest.Module, w.token.PINFile, 1), "cannot be loaded"},
		"no such name":    {strings.Replace(good, "module-path="+softhsmtest.Module, "module-name=nosuch", 1), "module-name"},
		"no PIN":          {strings.Split(good, "&")[0], "pin-source=file:"},
		"no PIN file":     {good + "x", "no such file"},
		"no such object":  {w.token.URI(";object=z"), "no private key"},
		"no certificate":  {w.token.URI(";object=c"), `key "c (03)"`},
		"another library": {w.token.URI(";library-manufacturer=x"), "library"},
	} {
		k, err := w.connect(t, c.uri, modules, Options{}, nil)
		if err == nil {
			t.Errorf("%s: opened, %v", name, k.Err())
		} else if !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), w.token.PIN) {
			t.Errorf("%s: %v", name, err)
		}
	}
	must(t, os.Chmod(w.token.PINFile, 0o644))
	if _, err := w.connect(t, good, modules, Options{}, nil); err == nil || !strings.Contains(err.Error(), "chmod 0600") {
		t.Errorf("a PIN for everybody: %v", err)
	}
}

func TestModuleName(t *testing.T) {
	w := newWorld(t)
	uri := strings.Replace(w.token.URI(""), "module-path="+softhsmtest.Module, "module-name=softhsm2", 1)
	k, err := Open(uri, Options{})
	must(t, err)
	_, err = k.List()
	must(t, errors.Join(err, k.Close()))
	if n := len(modules.loaded); n != 0 {
		t.Errorf("%d libraries are still loaded", n)
	}
}

func TestSign(t *testing.T) {
	w := newWorld(t)
	k := w.open(t, "")
	digest := sha256.Sum256([]byte("text"))
	for _, a := range []string{bob, carol} {
		id := k.signing(t, a)
		signature, err := id.Key.(crypto.Signer).Sign(nil, digest[:], crypto.SHA256)
		must(t, err)
		if !ecdsa.VerifyASN1(id.Certificate.PublicKey.(*ecdsa.PublicKey), digest[:], signature) {
			t.Errorf("%s: wrong signature", a)
		}
	}
	key := k.signing(t, alice).Key.(crypto.Signer)
	public := w.certs[alice].PublicKey.(*rsa.PublicKey)
	signature, err := key.Sign(nil, digest[:], crypto.SHA256)
	must(t, errors.Join(err, rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], signature)))
	pss := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
	signature, err = key.Sign(nil, digest[:], pss)
	must(t, errors.Join(err, rsa.VerifyPSS(public, crypto.SHA256, digest[:], signature, pss)))
	if _, err := key.Sign(nil, digest[:5], crypto.SHA256); !errors.Is(err, cms.ErrUnsupported) {
		t.Errorf("a digest of five octets: %v", err)
	}
}

// The secret is the one that the other side computes.
func TestAgreement(t *testing.T) {
	w := newWorld(t)
	_, r := newFaulty()
	k := testpki.Must(w.connect(t, w.token.URI(""), r, Options{}, []*x509.Certificate{w.certs[carol]}))
	for _, a := range []string{bob, carol} {
		key := k.signing(t, a).Key.(ecdh.KeyExchanger)
		own := key.PublicKey()
		for zero := range 2 {
			var other *ecdh.PrivateKey
			want := []byte{1}
			for other == nil || zero == 1 && want[0] != 0 { // a secret that begins with a zero
				other = testpki.Must(own.Curve().GenerateKey(rand.Reader))
				want = testpki.Must(other.ECDH(own))
			}
			got, err := key.ECDH(other.PublicKey())
			must(t, err)
			if string(got) != string(want) {
				t.Fatalf("%s: secret %x, the other side has %x", a, got, want)
			}
		}
		if _, err := key.ECDH(testpki.Must(ecdh.P521().GenerateKey(rand.Reader)).PublicKey()); !errors.Is(err, cms.ErrUnsupported) {
			t.Errorf("a point on another curve: %v", err)
		}
	}
}
