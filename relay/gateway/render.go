package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/bodytext"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/message"
)

// renderer makes the copies of one message. What several copies have in common is
// signed once.
type renderer struct {
	g          *Gateway
	env        *relay.Envelope
	e          *evidence
	base       *message.Message
	withFooter map[enforce.Footer]*message.Message // base with a footer
	signed     map[signing]*message.Message
	drafts     map[signing]*message.Draft // of what is signed to be encrypted
	hidden     bool                       // it answers a message of which the subject was hidden
}

// signing is what copies must share to share a signature.
type signing struct {
	enforce.Sign
	headers smime.HeaderProtection
	footer  enforce.Footer
}

// newRenderer prepares the message for copying. What must not be in it goes: the
// names of hidden recipients (RFC 5322 section 3.6.3), the sender's triggers,
// and results that only a gateway may write, which a colleague might trust.
func (g *Gateway) newRenderer(env *relay.Envelope, msg *message.Message, e *evidence) (*renderer, error) {
	p := &renderer{g: g, env: env, e: e, base: msg, signed: make(map[signing]*message.Message), drafts: make(map[signing]*message.Draft), withFooter: make(map[enforce.Footer]*message.Message)}
	change, err := g.Triggers.removal(msg)
	if err != nil {
		return nil, fault.New(fault.Malformed, "the subject cannot be re-encoded", err)
	}
	trigger := change.Remove
	change.Remove = func(f message.Field) bool {
		return f.NamesHidden() || g.forged(f) || trigger(f)
	}
	if !slices.ContainsFunc(msg.Fields(), change.Remove) {
		return p, nil
	}
	if p.base, err = msg.Apply(change); err != nil {
		return nil, fault.New(fault.Malformed, "the message is not well-formed", err)
	}
	return p, nil
}

// copy makes one copy, looks at it again before it may leave, and says how it is
// protected.
func (p *renderer) copy(ctx context.Context, c enforce.Copy) (*message.Message, relay.Treatment, error) {
	if err := p.g.permitted(p.e, c); err != nil {
		return nil, relay.Treatment{}, err
	}
	m, err := p.addFooter(c.Footer)
	if err != nil {
		return nil, relay.Treatment{}, err
	}
	how := p.treatment(c, m != p.base)
	if c.Encrypt != nil {
		cipher, _ := p.e.cipher(p.g.Profiles[c.Encrypt.Profile], *c.Encrypt)
		how.Cipher, how.HiddenSubject = string(cipher), p.hides(c)
	}
	if m, err = p.protect(ctx, m, c); err != nil {
		return nil, how, err
	}
	m, err = tagged(m, c.SubjectTag)
	if err != nil {
		return nil, how, p.failed("subject tag", err)
	}
	if c.Encrypt != nil && !leavesEncrypted(m) {
		return nil, how, p.internal(errors.New("a copy that must be encrypted is not encrypted"))
	}
	if m, err = p.wrap(ctx, m, c); err != nil {
		return nil, how, err
	}
	return m, how, nil
}

// treatment is how a copy is protected as it leaves: by us, or by its sender before. A
// signature of the sender's is not one of the whole message any more with a footer
// around it.
func (p *renderer) treatment(c enforce.Copy, withFooter bool) relay.Treatment {
	encrypted := c.Encrypt != nil || p.e.kind.Encrypted
	switch {
	case encrypted && c.Sign != nil:
		return relay.Treatment{Protection: "signed, encrypted"}
	case encrypted:
		return relay.Treatment{Protection: "encrypted"}
	case c.Sign != nil || p.e.kind.Signed && !withFooter:
		return relay.Treatment{Protection: "signed"}
	}
	return relay.Treatment{Protection: "clear"}
}

// hides reports whether the subject of a copy is not seen outside of its encryption.
func (p *renderer) hides(c enforce.Copy) bool {
	return c.Encrypt != nil && (p.hidden || p.g.Profiles[c.Encrypt.Profile].ProtectEncrypted)
}

// protection is how a signed copy protects its header: one that is encrypted
// afterwards hides it already then.
func (p *renderer) protection(c enforce.Copy) smime.HeaderProtection {
	if p.hides(c) {
		return p.g.Profiles[c.Encrypt.Profile].concealed()
	}
	if p.g.Profiles[c.Sign.Profile].ProtectSigned {
		return smime.HeadersClear
	}
	return smime.HeadersOpen
}

// addFooter returns the message with a footer, before we sign it: what the sender
// signed stays whole inside of what is added around it. An opaque signature would
// become an attachment by that, and is left alone.
func (p *renderer) addFooter(f enforce.Footer) (*message.Message, error) {
	content := &p.e.facts.Content
	if f.Text == "" || content.Encrypted || content.Signed && p.base.Root().MediaType != "multipart/signed" {
		return p.base, nil
	}
	if m := p.withFooter[f]; m != nil {
		return m, nil
	}
	m, err := bodytext.AddFooter(p.base, bodytext.Footer(f))
	if err != nil {
		return nil, p.failed("footer", err)
	}
	p.withFooter[f] = m
	return m, nil
}

// failed keeps the kind that package smime gave an error; what it did not
// classify is ours.
func (p *renderer) failed(step string, err error) error {
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return f
	}
	return p.internal(fmt.Errorf("%s: %w", step, err))
}

func (p *renderer) internal(cause error) error {
	return fault.New(fault.Internal, "internal error, try again later ("+p.env.ID+")", cause)
}
