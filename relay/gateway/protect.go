package gateway

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/tracing"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/cms"
	"github.com/smimerelay/smimerelay/smime/message"
)

// protect signs and encrypts. What is signed and encrypted is signed as a draft, which
// is never written by itself.
func (p *renderer) protect(ctx context.Context, m *message.Message, c enforce.Copy) (*message.Message, error) {
	switch {
	case c.Sign != nil && c.Encrypt != nil:
		d, err := p.signDraft(ctx, m, signing{*c.Sign, p.protection(c), c.Footer})
		if err != nil {
			return nil, err
		}
		return encrypt(ctx, p, p.g.encryptDraft, d, c)
	case c.Sign != nil:
		return p.sign(ctx, m, signing{*c.Sign, p.protection(c), c.Footer})
	case c.Encrypt != nil:
		return encrypt(ctx, p, p.g.encrypt, m, c)
	}
	return m, nil
}

func (p *renderer) sign(ctx context.Context, base *message.Message, s signing) (*message.Message, error) {
	if m := p.signed[s]; m != nil {
		return m, nil
	}
	var m *message.Message
	var err error
	if d := p.drafts[s]; d != nil {
		m, err = d.Message()
	} else {
		m, err = signBy(ctx, p, smime.Sign, base, s)
	}
	if err != nil {
		return nil, p.failed("sign", err)
	}
	if !leavesSigned(m) {
		return nil, p.internal(errors.New("a copy that must be signed is not signed"))
	}
	p.signed[s] = m
	return m, nil
}

func (p *renderer) signDraft(ctx context.Context, base *message.Message, s signing) (*message.Draft, error) {
	if d := p.drafts[s]; d != nil {
		return d, nil
	}
	d, err := signBy(ctx, p, smime.SignDraft, base, s)
	if err != nil {
		return nil, p.failed("sign", err)
	}
	if !describesSigned(d.Fields()) {
		return nil, p.internal(errors.New("a copy that must be signed is not signed"))
	}
	p.drafts[s] = d
	return d, nil
}

// signBy signs as the profile says.
func signBy[T any](ctx context.Context, p *renderer, sign func(*message.Message, *certs.Identity, smime.SignOptions) (*T, error), base *message.Message, s signing) (signed *T, err error) {
	_, span := tracing.Start(ctx, "sign")
	defer func() { span.End(err) }()
	profile := p.g.Profiles[s.Profile]
	id := p.e.identities[s.Identity]
	if id == nil {
		return nil, fmt.Errorf("no identity %q", s.Identity)
	}
	digest, ok := cms.DigestByName(profile.Digest)
	if !ok && profile.Digest != "" {
		return nil, fmt.Errorf("profile %q: unknown digest %q", s.Profile, profile.Digest)
	}
	return sign(base, id, smime.SignOptions{
		Opaque: profile.Opaque,
		Digest: digest, PSS: profile.Signature == "pss",
		Time: p.g.Clock(), Headers: s.headers, Wrapped: profile.Wrap == "message" && s.headers == smime.HeadersOpen, Omit: profile.omitted(), Roots: p.roots(profile),
	})
}

// roots are the certificates of which the one above a signer is sent.
func (p *renderer) roots(profile Profile) []*x509.Certificate {
	if !profile.IncludeRoot {
		return nil
	}
	return p.g.Roots
}

// omitted are the signed attributes that the profile leaves out.
func (p Profile) omitted() smime.OmitAttributes {
	has := func(word string) bool { return slices.Contains(p.OmitAttributes, word) }
	return smime.OmitAttributes{
		SigningCertificate: has("signing-certificate"), AlgorithmProtection: has("algorithm-protection"),
		Capabilities: has("capabilities"), EncryptionCertificate: has("encryption-certificate"),
	}
}

// concealed is how the header of what is encrypted is protected, where it is.
func (p Profile) concealed() smime.HeaderProtection {
	if p.LegacyDisplay {
		return smime.HeadersCipherDisplay
	}
	return smime.HeadersCipher
}

// wrap signs what was signed and encrypted again, where the profile says so (RFC 2634
// section 1.1).
func (p *renderer) wrap(ctx context.Context, m *message.Message, c enforce.Copy) (*message.Message, error) {
	if c.Sign == nil || c.Encrypt == nil || p.g.Profiles[c.Sign.Profile].Wrap != "triple" {
		return m, nil
	}
	m, err := signBy(ctx, p, smime.Sign, m, signing{Sign: *c.Sign})
	if err != nil {
		return nil, p.failed("sign", err)
	}
	if !leavesSigned(m) {
		return nil, p.internal(errors.New("a copy that must be signed twice is not"))
	}
	return m, nil
}

// encrypt encrypts a message, or the draft of one that is signed, by the engine.
func encrypt[T any](ctx context.Context, p *renderer, by func(T, []*x509.Certificate, smime.EncryptOptions) (*message.Message, error), m T, c enforce.Copy) (encrypted *message.Message, err error) {
	_, span := tracing.Start(ctx, "encrypt")
	defer func() { span.End(err) }()
	s := *c.Encrypt
	profile := p.g.Profiles[s.Profile]
	cipher, _ := p.e.cipher(profile, s)
	options := smime.EncryptOptions{Cipher: cipher, KeyTransport: cms.KeyTransport(profile.KeyTransport), DeriveKey: profile.DeriveKey, UseSKI: profile.RecipientIdentifier == "ski"}
	if c.Sign == nil && p.hides(c) {
		options.Headers = profile.concealed()
	}
	var to []*x509.Certificate
	for _, fp := range s.Certificates {
		cert := p.e.certificates[fp]
		if cert == nil {
			return nil, p.internal(fmt.Errorf("no certificate of fingerprint %x", fp))
		}
		to = append(to, cert)
	}
	if len(to) == 0 {
		return nil, p.internal(errors.New("no certificate to encrypt to"))
	}
	out, err := by(m, to, options)
	if err != nil {
		return nil, p.failed("encrypt", err)
	}
	return out, nil
}
