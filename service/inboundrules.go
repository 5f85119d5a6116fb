package service

import (
	"errors"
	"slices"
	"strings"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay/gateway"
)

// inboundRules are the inbound rules of a configuration as package enforce reads them.
func inboundRules(c *config.Config) []enforce.InboundRule {
	rules := make([]enforce.InboundRule, len(c.InboundRules))
	for i := range c.InboundRules {
		rules[i] = inboundRule(&c.InboundRules[i])
	}
	return rules
}

func inboundRule(r *config.InboundRule) enforce.InboundRule {
	return enforce.InboundRule{
		Name: r.Name, Line: r.Line,
		Sender: condition(r.Sender), ExceptSender: given(r.ExceptSender),
		From: condition(r.From), ExceptFrom: given(r.ExceptFrom),
		Recipient: condition(r.Recipient), ExceptRecipient: given(r.ExceptRecipient),
		RecipientGroup: condition(r.RecipientGroup), ExceptRecipientGroup: given(r.ExceptRecipientGroup),
		Network: condition(r.Network), ExceptNetwork: given(r.ExceptNetwork),
		Listener: condition(r.Listener), ExceptListener: given(r.ExceptListener),
		Header: condition(r.Header), ExceptHeader: given(r.ExceptHeader),
		Subject: condition(r.Subject), ExceptSubject: given(r.ExceptSubject),
		Attachment: condition(r.Attachment), ExceptAttachment: given(r.ExceptAttachment),
		LargerThan: int(r.LargerThan), SmallerThan: int(r.SmallerThan),
		Result: condition(r.Result), ExceptResult: given(r.ExceptResult),
		Reason: condition(r.Reason), ExceptReason: given(r.ExceptReason),
		Chain: condition(r.Chain), ExceptChain: given(r.ExceptChain),
		Signer: condition(r.Signer), ExceptSigner: given(r.ExceptSigner),
		Algorithm: condition(r.Algorithm), ExceptAlgorithm: given(r.ExceptAlgorithm),
		Signed: r.Signed, Encrypted: r.Encrypted,
		OnResult: r.OnResult, Deliver: r.Deliver, StripSignature: r.StripSignature, Original: r.Original, Notify: r.Notify, Mode: r.Mode,
	}
}

// tags are those of the configuration; the built-in ones where a rule tags and there are
// none.
func (b *builder) tags() gateway.Tags {
	c := b.config.Inbound
	t := gateway.Tags{Signed: c.TagSigned, Encrypted: c.TagEncrypted, Unverified: c.TagUnverified}
	if t == (gateway.Tags{}) && b.inbound.Tags() {
		return gateway.TagsIn(b.config.Notices.Language)
	}
	return t
}

// banner is the language of the banner; "" is none.
func (b *builder) banner() string {
	if !b.config.Inbound.Banner {
		return ""
	}
	return b.config.Notices.Language
}

// inboundPolicy compiles the inbound rules.
func (b *builder) inboundPolicy() *enforce.InboundPolicy {
	policy, err := enforce.CompileInbound(inboundRules(b.config))
	for _, e := range fault.Each(err) {
		p, ok := errors.AsType[*enforce.Problem](e)
		if !ok {
			b.complain("inbound_rule", e.Error(), "")
			continue
		}
		at := slices.IndexFunc(b.config.InboundRules, func(r config.InboundRule) bool { return r.Line == p.Line && r.Name == p.Rule })
		if k := key("inbound_rule", max(at, 0), p.Key); !b.isKnown(k) {
			text, remedy, _ := strings.Cut(p.Text, "; ")
			b.complain(k, text, remedy)
		}
	}
	return policy
}
