package gateway

import (
	"context"
	"strings"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/charset"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/message"
)

// content finds out what the rules of a direction may ask of a message of a kind.
func (g *Gateway) content(ctx context.Context, env *relay.Envelope, direction enforce.Direction, msg *message.Message, kind *smime.Kind) (c enforce.Content, err error) {
	if kind.Defect != "" {
		return c, fault.New(fault.Malformed, "the message is not well-formed: "+ascii(kind.Defect), nil)
	}
	c = g.headerContent(msg)
	c.Encrypted, c.Doubt, c.Signed = kind.Encrypted, ascii(kind.Doubt), kind.Signed
	c.Exempt, c.Report = isAutomatic(env, msg), bearsReport(env, msg)
	if g.Policy.LooksAtAttachments() || g.InboundPolicy.LooksAtAttachments() {
		if c.Attachments, err = attachments(msg, kind.Encrypted, relay.MemoryOf(ctx)); err != nil {
			return c, err
		}
	}
	if kind.Signed && !kind.Encrypted && direction == enforce.Outbound {
		if c.Signed, c.Doubt, err = g.signedByAuthor(ctx, msg, kind); err != nil {
			return c, err
		}
	}
	c.Calendar, c.CalendarWhy = meetingRequest(msg, c.Signed)
	if kind.Encrypted {
		c.TooWeak = g.tooWeak(kind.Encryption)
	}
	return c, nil
}

// headerContent is what rules ask of a header.
func (g *Gateway) headerContent(msg *message.Message) enforce.Content {
	c := enforce.Content{Size: msg.Size()}
	if !g.Policy.LooksAtHeader() && !g.InboundPolicy.LooksAtHeader() {
		return c
	}
	c.Header, c.Unread = make(map[string][]string), make(map[string]bool)
	for _, f := range msg.Fields() {
		name := strings.ToLower(f.Name)
		text, ok := charset.Header(f.Value())
		c.Header[name] = append(c.Header[name], strings.TrimSpace(text))
		if !ok {
			c.Unread[name] = true
		}
	}
	return c
}

// signedByAuthor reports whether a message bears the signature of the author whom
// From names, by a certificate that is trusted; doubt says why not. Whether that
// was revoked is for those who read it: no one waits for an answer on it here.
func (g *Gateway) signedByAuthor(ctx context.Context, msg *message.Message, kind *smime.Kind) (signed bool, doubt string, err error) {
	opened := smime.Open(ctx, msg, smime.OpenOptions{
		Checker: g.Checker, Revocation: certs.RevocationOff, At: g.Clock(), Certificates: g.parsed,
		Reserve: relay.MemoryOf(ctx).Reserve, Kind: kind,
	})
	if opened.NoMemory {
		return false, "", relay.NoMemory(relay.MemoryOf(ctx), nil)
	}
	r := &opened.Report
	if r.Result == certs.Pass {
		return true, "", nil
	}
	doubt = "the existing signature is not accepted: " + string(r.Result)
	for _, more := range []string{string(r.Reason), r.Detail} {
		if more != "" {
			doubt += ", " + ascii(more)
		}
	}
	return false, doubt, nil
}

// tooWeak names the profiles of the policy that do not accept an encryption.
func (g *Gateway) tooWeak(e *smime.Encryption) map[string]bool {
	var names map[string]bool
	for _, name := range g.Policy.Profiles() {
		if g.Profiles[name].Minimum().Accepts(e) {
			continue
		}
		if names == nil {
			names = make(map[string]bool)
		}
		names[name] = true
	}
	return names
}

// decoded returns s without encoded words (RFC 2047), as far as they can be read.
func decoded(s string) string {
	text, _ := charset.Header(s)
	return text
}
