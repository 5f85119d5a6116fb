package smime

import (
	"crypto/x509"
	"errors"
	"slices"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/smime/cms"
	"github.com/smimerelay/smimerelay/smime/message"
)

// EncryptOptions choose how to encrypt. The zero value is AES-256-CBC with, for
// RSA keys, PKCS #1 v1.5 key transport.
type EncryptOptions struct {
	// Cipher is cms.AES256CBC where it is "".
	Cipher cms.Cipher
	// KeyTransport is for RSA keys; "" is cms.AutoTransport.
	KeyTransport cms.KeyTransport
	// DeriveKey binds the content key to the cipher (RFC 9709); few programs read it.
	DeriveKey bool
	// UseSKI names recipients by the subject key identifiers of their certificates, where
	// all have one, and not by issuer and serial number.
	UseSKI bool
	// Headers protects header fields too: HeadersClear means HeadersCipher. A message
	// that is signed first is signed with that and encrypted with HeadersOpen.
	Headers HeaderProtection
}

// Encrypt returns m encrypted to the certificates. Bcc fields are deleted: every
// recipient reads them. An error is message.ErrMalformed where m cannot be
// encrypted; else it wraps one of package cms, and a *cms.RecipientError where one
// certificate is to blame.
func Encrypt(m *message.Message, to []*x509.Certificate, o EncryptOptions) (*message.Message, error) {
	if err := sendable(m); err != nil {
		return nil, err
	}
	m, err := canonical(m)
	if err != nil {
		return nil, err
	}
	if o.Headers == HeadersClear {
		o.Headers = HeadersCipher
	}
	if m, o.Headers, err = display(m, o.Headers); err != nil {
		return nil, err
	}
	content, err := plainEntity(m, o.Headers)
	if err != nil {
		return nil, err
	}
	enveloped, err := envelop(content, to, o)
	if err != nil {
		return nil, err
	}
	return m.Apply(outerChange(m, o.Headers, enveloped))
}

// EncryptDraft is Encrypt for what SignDraft made: as many times as there are copies.
// The header is protected by the signature, or not at all.
func EncryptDraft(d *message.Draft, to []*x509.Certificate, o EncryptOptions) (*message.Message, error) {
	if o.Headers != HeadersOpen {
		return nil, fault.New(fault.Internal, "the message cannot be encrypted", errors.New("the header of what is signed must be protected by the signature"))
	}
	var described []message.Field
	for _, f := range d.Fields() {
		if f.Structural() && !f.Is("MIME-Version") {
			described = append(described, f)
		}
	}
	body, err := d.Body()
	if err != nil {
		return nil, err
	}
	enveloped, err := envelop(append([][]byte{message.WriteHeader(described)}, body...), to, o)
	if err != nil {
		return nil, err
	}
	return d.Apply(message.Change{Remove: message.Field.NamesHidden, Entity: enveloped})
}

// envelop encrypts an entity.
func envelop(content [][]byte, to []*x509.Certificate, o EncryptOptions) (*message.Entity, error) {
	request := o.request(to)
	request.Content = content
	object, err := cms.Encrypt(request)
	if err != nil {
		return nil, fault.New(fault.Internal, "the message cannot be encrypted", err)
	}
	return objectEntity(o.smimeType(), object), nil
}

// request is what is asked of package cms, but for the content.
func (o *EncryptOptions) request(to []*x509.Certificate) cms.EncryptRequest {
	return cms.EncryptRequest{
		Recipients:   distinct(to),
		Cipher:       o.Cipher,
		KeyTransport: o.KeyTransport,
		DeriveKey:    o.DeriveKey,
		UseSKI:       o.UseSKI && haveSKI(to),
	}
}

// smimeType is the parameter of what is encrypted so (RFC 8551 section 3.2.2).
func (o *EncryptOptions) smimeType() string {
	if o.Cipher.Authenticated() {
		return "authEnveloped-data"
	}
	return "enveloped-data"
}

// haveSKI reports whether all certificates have a subject key identifier.
func haveSKI(list []*x509.Certificate) bool {
	return !slices.ContainsFunc(list, func(c *x509.Certificate) bool { return len(c.SubjectKeyId) == 0 })
}

// distinct leaves out certificates that were there before.
func distinct(list []*x509.Certificate) []*x509.Certificate {
	seen := make(map[string]bool, len(list))
	out := make([]*x509.Certificate, 0, len(list))
	for _, c := range list {
		if !seen[string(c.Raw)] {
			seen[string(c.Raw)] = true
			out = append(out, c)
		}
	}
	return out
}
