package gateway

import (
	"context"
	"crypto"
	"crypto/x509"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/cms"
	"github.com/smimerelay/smimerelay/smime/message"
)

var errAway = fmt.Errorf("%w: token \"hsm\" was removed", cms.ErrDevice)

// awayKey is in a token that was removed.
type awayKey struct{ crypto.Signer }

func (awayKey) Ready() error { return errAway }
func (awayKey) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errAway
}

// awayKeys are keys that cannot be looked for.
type awayKeys struct{}

func (awayKeys) Signing(context.Context, address.Address) (*certs.Identity, error) {
	return nil, errAway
}

func (awayKeys) Decryption(context.Context, cms.ID) ([]*certs.Identity, error) {
	return nil, errAway
}

func (awayKeys) ForReplies(context.Context, address.Address) (*certs.Identity, error) {
	return nil, errAway
}

func (awayKeys) WhyNot(context.Context, address.Address) string { return "" }

// A token that fails defers: nothing is signed by another, sent unsigned, or
// delivered as something that no recipient can read.
func TestTokenAway(t *testing.T) {
	alice := newWorld(t)
	for name, keys := range map[string]func(*certs.Identity) certs.Keys{
		"key": func(id *certs.Identity) certs.Keys {
			return certs.NewKeys(nil, &certs.Identity{Certificate: id.Certificate, Key: awayKey{id.Key.(crypto.Signer)}})
		},
		"store": func(*certs.Identity) certs.Keys { return awayKeys{} },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			id, err := w.keys.Signing(context.Background(), w.addr("alice@own.example"))
			if err != nil || id == nil {
				t.Fatal(err)
			}
			sealed, signed := w.toAlice(w.bobsLetter("")), w.bobsLetter("")
			w.config.Keys = keys(id)
			w.start()

			_, err = w.process(w.envelope("in", "bob@enc.example", "alice@own.example", "carl@own.example"), sealed)
			w.deferred(err)
			if m := w.receive(signed); statusWord(m) != "pass" {
				t.Errorf("signed only: %q", m.Get(statusField))
			}
			for _, to := range []string{"x@sign.example", "x@prefer.example"} {
				o, err := w.send(to)
				if err == nil && len(o.Deliveries) == 0 && len(o.Refused) == 1 {
					err = o.Refused[0].Err
				}
				w.deferred(err)
			}
		})
	}
	if o, err := alice.send("x@sign.example"); err != nil || len(o.Deliveries) != 1 {
		t.Errorf("with the key: %v", err)
	}
}

// deferred checks that err is 451 4.7.0 and tells the peer nothing of the token,
// and the log all.
func (w *world) deferred(err error) {
	w.t.Helper()
	if err == nil {
		w.t.Fatalf("not deferred")
	}
	if reply := replyText(err); !strings.HasPrefix(reply, "451 4.7.0 ") || strings.Contains(reply, "hsm") {
		w.t.Errorf("reply %q", reply)
	}
	w.log.Reset()
}

// A message of which the outer layer was opened, and the inner one needs a token that is
// away, is delivered with that layer: that the client is to try again would tell what was
// found in the outer one.
func TestTokenAwayInsideOfEncryptionIsNotToldOf(t *testing.T) {
	w := newWorld(t)
	outer, err := w.keys.Signing(t.Context(), w.addr(alice))
	if err != nil {
		t.Fatal(err)
	}
	inner := w.issue(alice)
	w.config.Keys = certs.NewKeys(nil, outer, &certs.Identity{Certificate: inner.Certificate, Key: awayKey{inner.Key.(crypto.Signer)}})
	w.start()
	encrypt := func(m *message.Message, to *certs.Identity) *message.Message {
		return testpki.Must(smime.Encrypt(m, []*x509.Certificate{to.Certificate}, smime.EncryptOptions{}))
	}
	if _, err := w.process(w.envelope("in", bob, alice), encrypt(w.bobsLetter(""), inner)); err == nil {
		t.Error("delivered though the only layer cannot be opened now")
	}
	got := w.receive(encrypt(encrypt(w.bobsLetter(""), inner), outer))
	if statusWord(got) != "temperror" || !isEncrypted(got) {
		t.Errorf("%.800s", got.Bytes())
	}
}
