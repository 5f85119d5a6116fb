package token

import (
	"crypto"
	"crypto/sha256"
	"errors"
	"testing"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// TestGenerate: a key is made once for an identifier, whichever process asks and however often,
// also where the helper dies before it answers; and it signs.
func TestGenerate(t *testing.T) {
	for _, how := range []string{"soft", "dies after making"} {
		w := newWorld(t, how)
		k := w.open(t, w.config())
		first := generate(t, w, k, "order 1")
		if again := generate(t, w, k, "order 1"); !equal(first, again) {
			t.Errorf("%q: another key for the same identifier", how)
		}
		other := w.open(t, w.config())
		if again := generate(t, w, other, "order 1"); !equal(first, again) {
			t.Errorf("%q: another key in another process", how)
		}
		if n := traces(w.dir, "made"); n != 1 {
			t.Errorf("%q: %d keys were made", how, n)
		}
		digest := sha256.Sum256(nil)
		if _, err := first.Sign(nil, digest[:], crypto.SHA256); err != nil {
			t.Errorf("%q: %v", how, err)
		}
	}
}

// generate asks for a key, again after the pause between two helpers where the first one died.
func generate(t *testing.T, w *world, k *Keys, id string) crypto.Signer {
	t.Helper()
	key, err := k.Generate("p256", []byte(id), "alice@example.org")
	if err != nil && errors.Is(err, cms.ErrDevice) {
		w.advance(2 * pause)
		key, err = k.Generate("p256", []byte(id), "alice@example.org")
	}
	must(t, err)
	return key
}

func equal(a, b crypto.Signer) bool {
	return a.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(b.Public())
}

// TestGenerateFails: a refusal is no temporary failure, and a key of
// another kind is none.
func TestGenerateFails(t *testing.T) {
	for how, refused := range map[string]bool{"full": true, "wrong": false} {
		w := newWorld(t, how)
		k := w.open(t, w.config())
		key, err := k.Generate("p256", []byte("x"), "x")
		if err == nil || key != nil || Refused(err) != refused {
			t.Errorf("%s: %v", how, err)
		}
	}
}

// keysOf are those of one identity, as a store has it.
func keysOf(id *certs.Identity) certs.Keys { return certs.NewKeys(nil, id) }

// TestInTokens: an identity whose key was made in a token, by another process since this one
// read it, is found with the key itself; one whose key is nowhere, or whose token is away, gives
// an error that is temporary.
func TestInTokens(t *testing.T) {
	w := newWorld(t, "soft")
	c := w.config()
	c.Elsewhere = true
	here, there := w.open(t, c), w.open(t, c)
	must(t, here.Err())
	made := generate(t, w, there, "order 1")
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	issue := func(key crypto.PrivateKey) *certs.Identity {
		id := testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{"new@example.org"}, PrivateKey: key}))
		return &certs.Identity{Certificate: id.Certificate, Key: &certs.TokenKey{Half: made.Public(), Token: "soft"}}
	}
	id := issue(made)
	who := testpki.Must(address.Parse("new@example.org"))
	keys := InTokens(keysOf(id), here)
	got, err := keys.Signing(t.Context(), who)
	must(t, err)
	digest := sha256.Sum256(nil)
	if _, err := got.Key.(crypto.Signer).Sign(nil, digest[:], crypto.SHA256); err != nil {
		t.Error(err)
	}
	rid := cms.ID{SubjectKeyID: id.Certificate.SubjectKeyId}
	opened, err := keys.Decryption(t.Context(), rid)
	must(t, err)
	if len(opened) != 1 || opened[0].Key == id.Key {
		t.Errorf("to decrypt: %v", opened)
	}

	stranger := testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{"new@example.org"}, Key: "p256"}))
	lost := &certs.Identity{Certificate: stranger.Certificate, Key: &certs.TokenKey{Half: stranger.Certificate.PublicKey, Token: "soft"}}
	if _, err := InTokens(keysOf(lost), here).Signing(t.Context(), who); !errors.Is(err, cms.ErrDevice) {
		t.Errorf("a key that the token does not hold: %v", err)
	}
	t.Setenv(behaviour, "away")
	w.advance(2 * missed)
	for name, keys := range map[string]certs.Keys{
		"no token":   InTokens(keysOf(id)),
		"token away": InTokens(keysOf(id), w.open(t, c)),
	} {
		if _, err := keys.Signing(t.Context(), who); !errors.Is(err, cms.ErrDevice) {
			t.Errorf("%s, to sign: %v", name, err)
		}
		if _, err := keys.Decryption(t.Context(), rid); !errors.Is(err, cms.ErrDevice) {
			t.Errorf("%s, to decrypt: %v", name, err)
		}
	}
}

// TestTokenWithoutIdentities: a token without an identity is a mistake, unless its identities
// may be in the store.
func TestTokenWithoutIdentities(t *testing.T) {
	w := newWorld(t, "empty")
	c := w.config()
	if _, err := Open(c); !isRefusal(err) {
		t.Errorf("%v", err)
	}
	c.Elsewhere = true
	k := w.open(t, c)
	must(t, k.Err())
	if len(k.Identities()) != 0 {
		t.Error("identities in an empty token")
	}
}
