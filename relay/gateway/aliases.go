package gateway

import (
	"context"
	"fmt"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/smime/address"
)

// namesMailbox reports whether the certificate of an identity names the mailbox of a
// recipient: its address, that without the extension, or another one that a directory
// lists for the same entry.
func (g *Gateway) namesMailbox(ctx context.Context, identity *certs.Identity, to address.Address) (bool, error) {
	named := certs.Addresses(identity.Certificate)
	for _, a := range named {
		if a.SameMailbox(to, g.LocalPart, g.Delimiters) {
			return true, nil
		}
	}
	for _, a := range named {
		if same, err := g.isAlias(ctx, a, to); same || err != nil {
			return same, err
		}
	}
	return false, nil
}

// isAlias reports whether an address in a local domain is another one of a recipient's
// entry in a directory; mail is decrypted for local recipients only. The extension of a recipient does not count, unless the directory
// lists it.
func (g *Gateway) isAlias(ctx context.Context, a, to address.Address) (bool, error) {
	if g.Groups == nil || !g.own(a) {
		return false, nil
	}
	forms := []address.Address{to}
	if mailbox, ok := to.WithoutExtension(g.Delimiters); ok {
		forms = append(forms, mailbox)
	}
	for _, form := range forms {
		same, err := g.Groups.SameOwner(ctx, form, a)
		if err != nil {
			return false, fmt.Errorf("aliases of %q: %w", to, err)
		}
		if same {
			g.Log.DebugContext(ctx, "decryption key found by an alias", "recipient", to, "address", a)
			return true, nil
		}
	}
	return false, nil
}
