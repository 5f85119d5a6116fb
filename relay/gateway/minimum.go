package gateway

import (
	"context"
	"slices"
	"strings"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/address"
)

// Minimum is what the profile asks of inbound mail, and of keys in both directions.
func (p Profile) Minimum() smime.Minimum {
	return smime.Minimum{
		Digest: p.MinimumDigest, RSA: p.MinimumRSA, PSS: p.MinimumSignature == "pss",
		Cipher: p.MinimumCipher, Authenticated: p.MinimumAuthenticated, OAEP: p.MinimumKeyTransport == "oaep", Keys: p.kinds(),
	}
}

// hasMinimum reports whether a profile asks anything of inbound mail.
func (g *Gateway) hasMinimum() bool {
	for _, p := range g.Profiles {
		if p.Minimum() != (smime.Minimum{}) {
			return true
		}
	}
	return false
}

// weakCipher is the minimum cipher of a profile that reads 3DES and RC2, and mail
// to RSA keys from 1024 bits: old mail.
const weakCipher = "3des"

// readsWeak parts the recipients of an inbound message by whether all profiles
// that the rules name for them read weak encryption. Where no rule does, the
// default profile counts.
func (g *Gateway) readsWeak(in *arrival) (strict, weak []relay.Recipient) {
	if !g.anyReadsWeak() {
		return in.env.Recipients, nil
	}
	for _, r := range in.env.Recipients {
		asked := in.demands[r.Address.String()]
		insists := func(d enforce.Demand) bool { return !g.profileReadsWeak(d.Profile) }
		if slices.ContainsFunc(asked, insists) || len(asked) == 0 && !g.profileReadsWeak(enforce.DefaultProfile) {
			strict = append(strict, r)
		} else {
			weak = append(weak, r)
		}
	}
	return strict, weak
}

func (g *Gateway) profileReadsWeak(name string) bool {
	return g.Profiles[name].MinimumCipher == weakCipher
}

// anyReadsWeak reports whether any profile reads weak encryption.
func (g *Gateway) anyReadsWeak() bool {
	for name := range g.Profiles {
		if g.profileReadsWeak(name) {
			return true
		}
	}
	return false
}

// measured holds what was opened to the profiles that the rules name for it.
// Recipients of whom different rules ask differently do not see the same status.
func (g *Gateway) measured(in *arrival, groups []readers) []readers {
	if !g.Inbound.Verify || in.demands == nil {
		return groups
	}
	var all []readers
	for _, group := range groups {
		parts := make(map[string]*readers)
		var order []string
		for _, r := range group.recipients {
			asked := in.demands[r.Address.String()]
			key := profilesOf(asked)
			if parts[key] == nil {
				order = append(order, key)
				parts[key] = &readers{opened: g.judged(group.opened, asked), demands: asked}
			}
			parts[key].recipients = append(parts[key].recipients, r)
		}
		for _, key := range order {
			all = append(all, *parts[key])
		}
	}
	return all
}

// judged is what was opened with the verdict of the profiles.
func (g *Gateway) judged(from *opened, asked []enforce.Demand) *opened {
	o := *from
	for _, d := range asked {
		p := g.Profiles[d.Profile]
		p.Minimum().Judge(&o.Report)
	}
	return &o
}

// demands asks the rules about an inbound message.
func (g *Gateway) demands(ctx context.Context, in *arrival) map[string][]enforce.Demand {
	f := in.facts
	g.inboundGroups(ctx, &f)
	asked := make(map[string][]enforce.Demand)
	agreed := g.Partners.Demands(in.authors())
	for i, d := range g.Policy.Demands(&f) {
		asked[in.env.Recipients[i].Address.String()] = append(d, agreed...)
	}
	return asked
}

// authors are those in From with the envelope sender.
func (in *arrival) authors() []address.Address {
	return append(slices.Clone(in.facts.From), in.env.Sender)
}

// profilesOf names what is asked, whatever the order of those who ask.
func profilesOf(asked []enforce.Demand) string {
	var names []string
	for _, d := range asked {
		names = append(names, d.Profile)
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), "\x00")
}
