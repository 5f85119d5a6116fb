package gateway

import (
	"context"
	"crypto"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/cms"
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
