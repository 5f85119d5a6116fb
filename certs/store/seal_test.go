package store

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// signer hides what kind of key it is, as a token does.
type signer interface {
	crypto.Signer
}

var otherSealing = []byte("fedcba9876543210fedcba9876543210")

func TestWrongKeyIsToldApart(t *testing.T) {
	for _, url := range []string{newFile(t), newDatabase(t)} {
		ctx := context.Background()
		w := newWorld(t, url)
		other := w.cfg
		other.Key = otherSealing
		// As long as no private key is kept, any will do.
		w.must(testpki.Must(Open(ctx, other)).Close())
		late := w.open(other)
		id := w.identity(1, "a@example.com")
		got[Stored](w)(w.PutIdentity(ctx, Imported, id))
		if s, err := Open(ctx, other); !errors.Is(err, ErrWrongKey) {
			t.Errorf("%v, %v", s, err)
		}
		// Nor does one that was opened before put in what the first can not read.
		if _, err := late.PutIdentity(ctx, Imported, w.identity(2, "a@example.com")); !errors.Is(err, ErrWrongKey) {
			t.Errorf("the store has keys under two: %v", err)
		}
		if n := got[int](w)(w.Count(ctx, Query{})); n != 1 {
			t.Errorf("%d certificates", n)
		}
		other.Key = nil
		without := w.open(other)
		if _, err := without.Keys().Signing(ctx, addr("a@example.com")); !errors.Is(err, ErrNoKeyFile) {
			t.Errorf("without the key it is unknown who signs: %v", err)
		}
		if _, err := without.PutIdentity(ctx, Imported, id); !errors.Is(err, ErrNoKeyFile) {
			t.Error(err)
		}
		if id := got[*certs.Identity](w)(without.Keys().Signing(ctx, addr("b@example.com"))); id != nil {
			t.Error("a key signs for b")
		}
	}
}

// A sealed key serves for its own certificate only.
func TestSealedKeyIsBoundToItsRow(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := context.Background()
		// The same key in both certificates: only the seal can tell.
		a := w.identity(1, "a@example.com")
		b := (*certs.Identity)(testpki.Must(w.ca.Issue(testpki.Leaf{Addresses: []string{"b@example.com"}, PrivateKey: a.Key})))
		got[Stored](w)(w.PutIdentity(ctx, Imported, a, b))
		fa, fb := sha256.Sum256(a.Certificate.Raw), sha256.Sum256(b.Certificate.Raw)
		got[*certs.Identity](w)(w.Keys().Signing(ctx, addr("b@example.com")))
		for _, damage := range []struct{ name, statement string }{
			{"of another", `UPDATE store_key SET sealed = (SELECT k.sealed FROM store_key k WHERE k.fingerprint = $1) WHERE fingerprint = $2`},
			{"the check value", `UPDATE store_key SET sealed = (SELECT value FROM store_setting WHERE $1 <> $2) WHERE fingerprint = $2`},
			{"cut", `UPDATE store_key SET sealed = substr(sealed, 1, 10) WHERE fingerprint <> $1 AND fingerprint = $2`},
		} {
			if _, err := w.write.ExecContext(ctx, damage.statement, fa[:], fb[:]); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Identity(ctx, fb); !errors.Is(err, ErrDamagedKey) {
				t.Errorf("%s: %v", damage.name, err)
			}
			// Another node, which has not opened the key before.
			if w.cfg.URL != "" {
				if id, err := w.open(w.cfg).Keys().Signing(ctx, addr("b@example.com")); !errors.Is(err, ErrDamagedKey) {
					t.Errorf("%s: %v %v", damage.name, id, err)
				}
			}
		}
	})
}

// TestNoKeyOnDisk looks for the private keys, and the one that seals them, in all
// that SQLite writes.
func TestNoKeyOnDisk(t *testing.T) {
	w := newWorld(t, newFile(t))
	id := w.identity(1, "a@example.com")
	got[Stored](w)(w.PutIdentity(context.Background(), Imported, id))
	der := testpki.Must(x509.MarshalPKCS8PrivateKey(id.Key))
	secret := der[len(der)/4 : len(der)/4+24]
	files := testpki.Must(filepath.Glob(w.cfg.URL + "*"))
	if len(files) < 2 {
		t.Fatalf("only %q", files)
	}
	if text := fmt.Sprintf("%v %+v %#v", w.Store, w.Store, *w.sealer); strings.Contains(text, fmt.Sprint(sealing[:8])[1:20]) || strings.Contains(text, string(sealing)) {
		t.Errorf("a Store prints its key: %s", text)
	}
	public := false
	for _, f := range files {
		info := testpki.Must(os.Stat(f))
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %o", f, info.Mode().Perm())
		}
		data := testpki.Must(os.ReadFile(f))
		if bytes.Contains(data, secret) || bytes.Contains(data, sealing) {
			t.Errorf("%s holds a private key", f)
		}
		public = public || bytes.Contains(data, id.Certificate.Raw[:100])
	}
	if !public {
		t.Error("the certificate is nowhere: the test can not fail")
	}
}

// What can not be kept says what it is and nothing of its contents.
func TestKeysThatCanNotBeKept(t *testing.T) {
	w := newWorld(t, "")
	a, b := w.identity(1, "a@example.com"), w.identity(1, "b@example.com")
	mixed := &certs.Identity{Certificate: a.Certificate, Key: b.Key}
	token := &certs.Identity{Certificate: a.Certificate, Key: struct{ signer }{a.Key.(signer)}}
	for want, id := range map[string]*certs.Identity{
		"does not belong": mixed,
		"private key of type struct { store.signer } can not be kept in the store": token,
	} {
		_, err := w.PutIdentity(context.Background(), Imported, b, id)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") || len(err.Error()) > 300 {
			t.Errorf("%v", err)
		}
	}
	if n := got[int](w)(w.Count(context.Background(), Query{})); n != 0 {
		t.Errorf("%d were stored with it", n)
	}
}

func TestSealsDiffer(t *testing.T) {
	s := testpki.Must(newSealer(sealing))
	if bytes.Equal(s.seal([]byte("x"), forKey, nil), s.seal([]byte("x"), forKey, nil)) {
		t.Error("the same nonce twice")
	}
	if _, err := newSealer(sealing[:16]); err == nil {
		t.Error("a key of half the length was taken")
	}
}
