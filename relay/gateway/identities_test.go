package gateway

import (
	"context"
	"testing"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/smime/address"
)

// countedKeys counts who asks for an identity to sign with.
type countedKeys struct {
	certs.Keys
	asked int
}

func (k *countedKeys) Signing(ctx context.Context, a address.Address) (*certs.Identity, error) {
	k.asked++
	return k.Keys.Signing(ctx, a)
}

// TestIdentityIsLookedForWhereARuleSigns: a message that no rule signs costs no look
// into the store.
func TestIdentityIsLookedForWhereARuleSigns(t *testing.T) {
	w := newWorld(t)
	keys := &countedKeys{Keys: w.keys}
	w.config.Keys = keys
	w.start()
	for _, c := range []struct {
		to    string
		asked int
	}{{"x@plain.example", 0}, {"x@sign.example", 1}, {bob, 1}} {
		keys.asked = 0
		if _, err := w.send(c.to); err != nil {
			t.Fatal(err)
		}
		if keys.asked != c.asked {
			t.Errorf("mail to %s: %d looks for an identity, want %d", c.to, keys.asked, c.asked)
		}
	}
}
