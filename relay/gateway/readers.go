package gateway

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// DecryptFor says for whom the gateway decrypts.
type DecryptFor string

const (
	// ForNamed decrypts for a recipient only with identities whose certificate
	// names them. Otherwise an attacker who gets hold of a cipher text could mail it to
	// a colleague of its reader, or to themselves, and read it.
	ForNamed DecryptFor = "recipient"
	// ForAnyone decrypts for every recipient: for sites whose MTA rewrites
	// recipients before the gateway sees them.
	ForAnyone DecryptFor = "any"
)

// readers is a group of recipients who see the same form of an inbound message.
type readers struct {
	recipients []relay.Recipient
	opened     *opened
	// demands are the rules whose profiles the message was held to.
	demands []enforce.Demand
	// found is what the inbound rules are asked about. It is empty before they are asked.
	found enforce.Found
	// decided is what the inbound rules say, for each recipient. It is nil before they
	// are asked.
	decided []enforce.InboundDecision
}

// openFor opens a message for the recipients: most often once, for all of them.
func (g *Gateway) openFor(ctx context.Context, in *arrival) []readers {
	if !g.Inbound.Decrypt {
		return []readers{{recipients: in.env.Recipients, opened: g.open(ctx, in, nil, false)}}
	}
	strict, weak := g.readsWeak(in)
	return append(g.openWith(ctx, in, strict, false), g.openWith(ctx, in, weak, true)...)
}

// openWith opens a message for some of its recipients; weak decrypts old ciphers,
// too.
func (g *Gateway) openWith(ctx context.Context, in *arrival, recipients []relay.Recipient, weak bool) []readers {
	if len(recipients) == 0 {
		return nil
	}
	if g.Inbound.DecryptFor == ForAnyone {
		return []readers{{recipients: recipients, opened: g.open(ctx, in, g.Keys, weak)}}
	}
	ring := g.keyRing(recipients)
	together := g.open(ctx, in, ring, weak)
	var groups []readers
	for _, members := range ring.groups() {
		group := readers{recipients: members, opened: together}
		if !ring.complete(members[0]) {
			group.opened = g.openAgain(ctx, in, g.keyRing(members[:1]), weak)
		}
		ring.explain(group)
		ring.note(in, group)
		groups = append(groups, group)
	}
	return groups
}

// openAgain opens a message a further time: what is decrypted then takes memory besides
// that of the first.
func (g *Gateway) openAgain(ctx context.Context, in *arrival, keys certs.Keys, weak bool) *opened {
	if !relay.MemoryOf(ctx).Reserve(int64(in.msg.Size()) * 3 / 2) {
		return in.opened(&smime.Opened{Message: in.msg, NoMemory: true})
	}
	return g.open(ctx, in, keys, weak)
}

// keyRing holds the identities that name one of the recipients or, where a directory
// has aliases, another address of one. It notes which of them were asked for, so that
// recipients can be distinguished by what they may decrypt, and which were withheld, so
// that the log and explain can tell.
type keyRing struct {
	certs.Keys
	gateway        *Gateway
	recipients     []relay.Recipient
	used, withheld []*certs.Identity
	// claims says which of the recipients may use which identity, by fingerprint.
	claims map[[sha256.Size]byte][]claim
}

func (g *Gateway) keyRing(recipients []relay.Recipient) *keyRing {
	return &keyRing{Keys: g.Keys, gateway: g, recipients: recipients, claims: make(map[[sha256.Size]byte][]claim)}
}

// Decryption implements certs.Keys.
func (k *keyRing) Decryption(ctx context.Context, id cms.ID) ([]*certs.Identity, error) {
	all, err := k.Keys.Decryption(ctx, id)
	if err != nil {
		return nil, err
	}
	var named []*certs.Identity
	for _, identity := range all {
		claims, err := k.readersOf(ctx, identity)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(claims, func(c claim) bool { return c.mine }) {
			named = append(named, identity)
			k.used = noted(k.used, identity)
		} else {
			k.withheld = noted(k.withheld, identity)
		}
	}
	return named, nil
}

// noted adds an identity to a list that it is not on.
func noted(list []*certs.Identity, identity *certs.Identity) []*certs.Identity {
	if slices.ContainsFunc(list, func(i *certs.Identity) bool { return i.Certificate.Equal(identity.Certificate) }) {
		return list
	}
	return append(list, identity)
}

// readersOf returns which of the recipients may use an identity. While a directory
// is unavailable the answer is unknown, and the message waits: delivered encrypted, its
// owner could no longer read it.
func (k *keyRing) readersOf(ctx context.Context, identity *certs.Identity) ([]claim, error) {
	sum := fingerprint(identity.Certificate)
	if claims, ok := k.claims[sum]; ok {
		return claims, nil
	}
	claims := make([]claim, len(k.recipients))
	for i, r := range k.recipients {
		var err error
		if claims[i], err = k.gateway.claimOn(ctx, identity, r.Address); err != nil {
			return nil, err
		}
	}
	k.claims[sum] = claims
	return claims, nil
}

// may reports whether a recipient, by its place, may use an identity that was asked
// for.
func (k *keyRing) may(i int, identity *certs.Identity) bool {
	return k.claims[fingerprint(identity.Certificate)][i].mine
}

// maxListed is how many addresses an explanation lists of each kind.
const maxListed = 5

// explain says in the report of a group for whom nothing was decrypted what was
// compared, if the gateway has a key and withheld it. It is for the log and for
// explain only: a status field would tell a stranger whose keys we have.
func (k *keyRing) explain(group readers) {
	r := &group.opened.Report
	if r.Reason != smime.ReasonNoKey {
		return
	}
	var others, compared []string
	for _, identity := range slices.Concat(k.withheld, k.used) {
		for _, a := range certs.Addresses(identity.Certificate) {
			others = append(others, a.String())
		}
	}
	if len(others) == 0 {
		return
	}
	for _, to := range group.recipients {
		compared = append(compared, to.Address.String())
	}
	r.Detail = fmt.Sprintf("the gateway has a key of %s for it, but not of %s", inQuotes(others), inQuotes(compared))
	if conflicts := k.conflicts(group); len(conflicts) > 0 {
		r.Detail += "; " + strings.Join(conflicts, "; ")
		return
	}
	r.Detail += fmt.Sprintf("; if both are the same mailbox, set recipient_delimiter, aliases of a [[directory]], or inbound.decrypt_for = %q", ForAnyone)
}

// inQuotes lists the first few addresses.
func inQuotes(list []string) string {
	var b strings.Builder
	for i, s := range list[:min(len(list), maxListed)] {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%.100q", s)
	}
	if more := len(list) - maxListed; more > 0 {
		fmt.Fprintf(&b, " and %d more", more)
	}
	return b.String()
}

// complete reports whether a recipient may use every identity that was used.
func (k *keyRing) complete(r relay.Recipient) bool {
	i := slices.IndexFunc(k.recipients, func(other relay.Recipient) bool { return other.Address == r.Address })
	return !slices.ContainsFunc(k.used, func(identity *certs.Identity) bool { return !k.may(i, identity) })
}

// groups puts those recipients together who may use the same identities, in the
// order of the envelope.
func (k *keyRing) groups() [][]relay.Recipient {
	var groups [][]relay.Recipient
	index := make(map[string]int)
	for n, r := range k.recipients {
		var set []byte
		for _, identity := range k.used {
			if k.may(n, identity) {
				sum := fingerprint(identity.Certificate)
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
