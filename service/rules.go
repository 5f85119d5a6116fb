package service

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/internal/fault"
)

// enforceRules are the rules of a configuration as package enforce reads them.
func enforceRules(c *config.Config) []enforce.Rule {
	rules := make([]enforce.Rule, len(c.Rules))
	for i := range c.Rules {
		rules[i] = rule(&c.Rules[i])
	}
	return rules
}

func rule(r *config.Rule) enforce.Rule {
	return enforce.Rule{
		Name: r.Name, Line: r.Line, Direction: r.Direction,
		Sender: condition(r.Sender), ExceptSender: condition(r.ExceptSender),
		Recipient: condition(r.Recipient), ExceptRecipient: condition(r.ExceptRecipient),
		SenderGroup: condition(r.SenderGroup), ExceptSenderGroup: given(r.ExceptSenderGroup),
		RecipientGroup: condition(r.RecipientGroup), ExceptRecipientGroup: given(r.ExceptRecipientGroup),
		GroupUnknown: r.GroupUnknown, ExpandGroups: r.ExpandGroups,
		User: condition(r.User), ExceptUser: given(r.ExceptUser),
		Network: condition(r.Network), ExceptNetwork: given(r.ExceptNetwork),
		Listener: condition(r.Listener), ExceptListener: given(r.ExceptListener),
		From: condition(r.From), ExceptFrom: given(r.ExceptFrom),
		Header: condition(r.Header), ExceptHeader: given(r.ExceptHeader),
		Subject: condition(r.Subject), ExceptSubject: given(r.ExceptSubject),
		Sensitivity: condition(r.Sensitivity), ExceptSensitivity: given(r.ExceptSensitivity),
		Importance: condition(r.Importance), ExceptImportance: given(r.ExceptImportance),
		Attachment: condition(r.Attachment), ExceptAttachment: given(r.ExceptAttachment),
		Signed: r.Signed, Encrypted: r.Encrypted,
		LargerThan: int(r.LargerThan), SmallerThan: int(r.SmallerThan),
		MoreRecipients: r.MoreRecipients, FewerRecipients: r.FewerRecipients,
		Sign: r.Sign, Encrypt: r.Encrypt, NoCertificate: r.NoCertificate,
		Unavailable: r.Unavailable, Mixed: r.Mixed, Profile: r.Profile,
		UserControl: given(r.UserControl), FromAlignment: r.FromAlignment, Automatic: r.Automatic, AlreadySigned: r.AlreadySigned,
		AlreadyEncrypted: r.AlreadyEncrypted,
		Calendar:         r.Calendar, Identity: r.Identity, DomainIdentity: r.DomainIdentity, Issue: r.Issue, DomainCertificate: r.DomainCertificate,
		SenderCopy: r.SenderCopy, AlsoEncryptTo: given(r.AlsoEncryptTo), SubjectTag: r.SubjectTag, Mode: r.Mode,
		Footer: r.Footer, FooterHTML: r.FooterHTML,
	}
}

// condition translates the list of a condition: "*" alone is no condition.
func condition(list []string) []string {
	if slices.Equal(list, []string{config.Everybody}) {
		return nil
	}
	return given(list)
}

// given is nil for a list that the file leaves empty.
func given(list []string) []string {
	if len(list) == 0 {
		return nil
	}
	return list
}

// policy compiles the rules and the entitlements. A rule in which a word is
// unknown has been complained of, and what enforce would say of it follows from
// that.
func (b *builder) policy() {
	policy, err := enforce.Compile(enforceRules(b.config))
	for _, e := range fault.Each(err) {
		b.ruleProblem(e)
	}
	b.parts.Policy = policy
}

func (b *builder) entitlements() *enforce.Entitlements {
	var list []enforce.Entitlement
	for _, e := range b.config.Entitled {
		list = append(list, enforce.Entitlement{
			Line: e.Line, User: given(e.User), Network: given(e.Network), Listener: given(e.Listener), From: given(e.From),
		})
	}
	compiled, err := enforce.CompileEntitlements(list)
	for _, e := range fault.Each(err) {
		p, ok := errors.AsType[*enforce.Problem](e)
		if !ok {
			b.complain("entitlement", e.Error(), "")
			continue
		}
		at := slices.IndexFunc(b.config.Entitled, func(e config.Entitlement) bool { return e.Line == p.Line })
		if k := key("entitlement", at, p.Key); !b.isKnown(k) {
			text, remedy, _ := strings.Cut(p.Text, "; ")
			b.complain(k, text, remedy)
		}
	}
	return compiled
}

func (b *builder) ruleProblem(err error) {
	p, ok := errors.AsType[*enforce.Problem](err)
	if !ok {
		b.complain("rule", err.Error(), "")
		return
	}
	at := slices.IndexFunc(b.config.Rules, func(r config.Rule) bool { return r.Line == p.Line && r.Name == p.Rule })
	text, remedy, _ := strings.Cut(p.Text, "; ")
	if at < 0 {
		b.complain("rule", text, remedy)
		return
	}
	prefix := fmt.Sprintf("rule[%d]", at)
	if b.isKnown(prefix+"."+p.Key) || p.Key != "name" && (b.isKnown(prefix+".sign") || b.isKnown(prefix+".encrypt") || b.isKnown(prefix+".direction")) {
		return
	}
	b.complain(key("rule", at, p.Key), text, remedy)
}

// key writes the key of an option in an array of tables.
func key(table string, i int, option string) string {
	k := fmt.Sprintf("%s[%d]", table, i)
	if option != "" {
		k += "." + option
	}
	return k
}
