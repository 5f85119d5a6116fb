package gateway

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/message"
)

// Minimum is what the profile asks of inbound mail.
func (p Profile) Minimum() smime.Minimum {
	return smime.Minimum{
		Digest: p.MinimumDigest, RSA: p.MinimumRSA, PSS: p.MinimumSignature == "pss",
		Cipher: p.MinimumCipher, Authenticated: p.MinimumAuthenticated, OAEP: p.MinimumKeyTransport == "oaep",
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
func (g *Gateway) readsWeak(ctx context.Context, env *relay.Envelope, msg *message.Message) (strict, weak []relay.Recipient) {
	reads := func(profile string) bool { return g.Profiles[profile].MinimumCipher == weakCipher }
	if !slices.ContainsFunc(slices.Collect(maps.Keys(g.Profiles)), reads) {
		return env.Recipients, nil
	}
	demands := g.demands(ctx, env, msg)
	for _, r := range env.Recipients {
		asked := demands[r.Address.String()]
		insists := func(d enforce.Demand) bool { return !reads(d.Profile) }
		if slices.ContainsFunc(asked, insists) || len(asked) == 0 && !reads(enforce.DefaultProfile) {
			strict = append(strict, r)
		} else {
			weak = append(weak, r)
		}
	}
	return strict, weak
}

// measured holds what was opened to the profiles that the rules name for it.
// Recipients of whom different rules ask differently do not see the same status.
func (g *Gateway) measured(ctx context.Context, env *relay.Envelope, msg *message.Message, groups []readers) []readers {
	if !g.Inbound.Verify {
		return groups
	}
	demands := g.demands(ctx, env, msg)
	var all []readers
	for _, group := range groups {
		parts := make(map[string]*readers)
		var order []string
		for _, r := range group.recipients {
			asked := demands[r.Address.String()]
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
func (g *Gateway) judged(opened *smime.Opened, asked []enforce.Demand) *smime.Opened {
	o := *opened
	for _, d := range asked {
		p := g.Profiles[d.Profile]
		p.Minimum().Judge(&o.Report)
	}
	return &o
}

// demands asks the rules about an inbound message; what cannot be read of it is
// left out, for it is delivered all the same.
func (g *Gateway) demands(ctx context.Context, env *relay.Envelope, msg *message.Message) map[string][]enforce.Demand {
	content, _, err := g.content(ctx, env, enforce.Inbound, msg)
	if err != nil {
		content = enforce.Content{Size: len(msg.Bytes()), Attachments: []enforce.Attachment{{Unread: true}}}
	}
	from, err := msg.Addresses("From")
	if err != nil {
		from = nil
	}
	f := enforce.Facts{
		Direction: enforce.Inbound, Sender: env.Sender, From: from, Content: content,
		Client: enforce.Client{User: env.Client.User, Addr: env.Client.Addr, Listener: env.Listener},
	}
	for _, r := range env.Recipients {
		f.Recipients = append(f.Recipients, enforce.RecipientFacts{Address: r.Address})
	}
	g.inboundGroups(ctx, &f)
	asked := make(map[string][]enforce.Demand)
	for i, d := range g.Policy.Demands(f) {
		asked[env.Recipients[i].Address.String()] = d
	}
	return asked
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
