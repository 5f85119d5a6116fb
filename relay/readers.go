package relay

import (
	"context"
	"crypto/sha256"
	"slices"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/address"
	"github.com/smimerelay/smimerelay/internal/message"
	"github.com/smimerelay/smimerelay/smime"
)

// DecryptFor says for whom the gateway decrypts.
type DecryptFor string

const (
	// ForNamed decrypts for a recipient only with identities whose certificate
	// names them. Otherwise whoever gets hold of a cipher text could mail it to
	// a colleague of its reader, or to themselves, and read it.
	ForNamed DecryptFor = "recipient"
	// ForAnyone decrypts for every recipient: for sites whose MTA rewrites
	// recipients before the gateway sees them.
	ForAnyone DecryptFor = "any"
)

// readers is a group of recipients who see the same form of an inbound message.
type readers struct {
	recipients []Recipient
	opened     *smime.Opened
	// demands are the rules whose profiles the message was held to.
	demands []enforce.Demand
}

// openFor opens a message for the recipients: most often once, for all of them.
func (g *Gateway) openFor(ctx context.Context, env *Envelope, msg *message.Message) []readers {
	if !g.Inbound.Decrypt {
		return []readers{{recipients: env.Recipients, opened: g.open(ctx, msg, nil, false)}}
	}
	strict, weak := g.readsWeak(ctx, env, msg)
	return append(g.openWith(ctx, msg, strict, false), g.openWith(ctx, msg, weak, true)...)
}

// openWith opens a message for some of its recipients; weak decrypts old ciphers,
// too.
func (g *Gateway) openWith(ctx context.Context, msg *message.Message, recipients []Recipient, weak bool) []readers {
	if len(recipients) == 0 {
		return nil
	}
	if g.Inbound.DecryptFor == ForAnyone {
		return []readers{{recipients: recipients, opened: g.open(ctx, msg, g.Keys, weak)}}
	}
	ring := &keyRing{Keys: g.Keys, rule: g.LocalPart, recipients: recipients}
	together := g.open(ctx, msg, ring, weak)
	var groups []readers
	for _, members := range ring.groups() {
		group := readers{recipients: members, opened: together}
		if !ring.complete(members[0]) {
			own := &keyRing{Keys: g.Keys, rule: g.LocalPart, recipients: members[:1]}
			group.opened = g.open(ctx, msg, own, weak)
		}
		groups = append(groups, group)
	}
	return groups
}

// keyRing holds the identities that name one of the recipients. It notes which
// of them were asked for, so that recipients can be told apart by what they may
// decrypt.
type keyRing struct {
	certs.Keys
	rule       address.LocalPart
	recipients []Recipient
	used       []*certs.Identity
}

// Decryption implements certs.Keys.
func (k *keyRing) Decryption(ctx context.Context, id certs.RecipientID) ([]*certs.Identity, error) {
	all, err := k.Keys.Decryption(ctx, id)
	if err != nil {
		return nil, err
	}
	var named []*certs.Identity
	for _, identity := range all {
		if slices.ContainsFunc(k.recipients, func(r Recipient) bool { return k.names(identity, r) }) {
			named = append(named, identity)
		}
	}
	k.note(named)
	return named, nil
}

func (k *keyRing) note(named []*certs.Identity) {
	for _, identity := range named {
		if !slices.ContainsFunc(k.used, func(u *certs.Identity) bool { return u.Certificate.Equal(identity.Certificate) }) {
			k.used = append(k.used, identity)
		}
	}
}

// names reports whether the certificate of an identity names a recipient.
func (k *keyRing) names(identity *certs.Identity, r Recipient) bool {
	return slices.ContainsFunc(certs.Addresses(identity.Certificate), func(a address.Address) bool {
		return a.Equal(r.Address, k.rule)
	})
}

// complete reports whether a recipient may use every identity that was used.
func (k *keyRing) complete(r Recipient) bool {
	return !slices.ContainsFunc(k.used, func(identity *certs.Identity) bool { return !k.names(identity, r) })
}

// groups puts those recipients together who may use the same identities, in the
// order of the envelope.
func (k *keyRing) groups() [][]Recipient {
	var groups [][]Recipient
	index := make(map[string]int)
	for _, r := range k.recipients {
		var set []byte
		for _, identity := range k.used {
			if k.names(identity, r) {
				sum := sha256.Sum256(identity.Certificate.Raw)
				set = append(set, sum[:]...)
			}
		}
		i, ok := index[string(set)]
		if !ok {
			i = len(groups)
			index[string(set)] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], r)
	}
	return groups
}
