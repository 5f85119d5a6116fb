package smime

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/smime/cms"
	"github.com/smimerelay/smimerelay/smime/message"
)

// ErrIdentity is the error of an identity that cannot sign. What is wrong with it is
// wrapped too, as one of the errors of package cms where it comes from there.
var ErrIdentity error = fault.Identity

// SignOptions choose how to sign. The zero value is a clear signature with
// SHA-256 and, for RSA keys, PKCS #1 v1.5.
type SignOptions struct {
	// Opaque asks for application/pkcs7-mime instead of multipart/signed.
	Opaque bool
	// Digest is SHA-256, SHA-384 or SHA-512; 0 is cms.DefaultDigest of the key. Ed25519
	// and ML-DSA keys have SHA-512 whatever it says.
	Digest crypto.Hash
	// PSS signs with RSASSA-PSS instead of PKCS #1 v1.5. RSA keys only.
	PSS bool
	// Time is the signing time.
	Time time.Time
	// Omit leaves signed attributes out.
	Omit OmitAttributes
	// Headers protects header fields too.
	Headers HeaderProtection
	// Wrapped signs the message as a message/rfc822 in itself, with its header (RFC 8551
	// section 3.1), for recipients who ask for it. Not with Headers.
	Wrapped bool
	// Roots are trust anchors: the one above the identity's chain is sent with it. The
	// recipients who trust it have it, so that there is none by default (RFC 8550 section
	// 2.3).
	Roots []*x509.Certificate
}

// OmitAttributes are signed attributes that a signature does without, for readers that
// fail on them: that of the signer's certificate (RFC 5035), that of the algorithms (RFC
// 6211), the capabilities and the certificate to encrypt to (RFC 8551 section 2.5).
type OmitAttributes struct {
	SigningCertificate, AlgorithmProtection, Capabilities, EncryptionCertificate bool
}

// Sign returns m signed by id. The content is made 7-bit safe first (RFC 8551
// section 3.1); what cannot be is signed opaque. Bcc fields are deleted. An
// error is ErrIdentity where id cannot sign, and message.ErrMalformed where m cannot be
// signed.
func Sign(m *message.Message, id *certs.Identity, o SignOptions) (*message.Message, error) {
	return sign(m, id, o, (*message.Draft).Message)
}

// SignDraft is Sign for a message that is encrypted next, by EncryptDraft, or written, by
// WriteTo: the signed form is not in memory in one piece, which would take as much as the
// message.
func SignDraft(m *message.Message, id *certs.Identity, o SignOptions) (*message.Draft, error) {
	return sign(m, id, o, func(d *message.Draft) (*message.Draft, error) {
		_, err := d.Body() // by this it is signed
		return d, err
	})
}

// sign hands what is signed, or will be as soon as it is written, to finish.
func sign[T any](m *message.Message, id *certs.Identity, o SignOptions, finish func(*message.Draft) (*T, error)) (*T, error) {
	signer, err := o.signer(id)
	if err != nil {
		return nil, err
	}
	if err := sendable(m); err != nil {
		return nil, err
	}
	if m, o.Headers, err = display(m, o.Headers); err != nil {
		return nil, err
	}
	if o.Wrapped {
		if o.Headers != HeadersOpen {
			return nil, fault.New(fault.Internal, "the message cannot be signed", errors.New("a header that is protected and wrapped"))
		}
		if m, err = wrapped(m); err != nil {
			return nil, err
		}
	}
	request := cms.SignRequest{Signers: []cms.Signer{signer}, Certificates: sent(id, o.Roots)}
	if !o.Opaque {
		content, err := safeEntity(m, o.Headers)
		if err == nil {
			return clear(m, o.Headers, content, request, finish)
		}
		if !errors.Is(err, errUnsafe) {
			return nil, err
		}
	}
	if m, err = canonical(m); err != nil {
		return nil, err
	}
	if request.Content, err = plainEntity(m, o.Headers); err != nil {
		return nil, err
	}
	object, err := signObject(request)
	if err != nil {
		return nil, err
	}
	d, err := m.Draft(outerChange(m, o.Headers, objectEntity("signed-data", object)))
	if err != nil {
		return nil, err
	}
	return finish(d)
}

func signObject(request cms.SignRequest) (*cms.Object, error) {
	object, err := cms.Sign(request)
	if err != nil {
		return nil, fault.New(fault.Identity, "the message cannot be signed", err)
	}
	return object, nil
}

// signer checks the options against the identity.
func (o *SignOptions) signer(id *certs.Identity) (cms.Signer, error) {
	key, ok := id.Key.(crypto.Signer)
	if !ok {
		return cms.Signer{}, fault.New(fault.Identity, "the sender's identity cannot sign",
			fmt.Errorf("identity %q: key of type %T is no crypto.Signer", pkix.SubjectString(id.Certificate), id.Key))
	}
	public := pkix.PublicKey(id.Certificate)
	digest := cms.DefaultDigest(public)
	if pss, _ := public.(pkix.PSSKey); o.Digest != 0 && pss.Limit == nil && !pkix.SignsWhole(key.Public()) {
		digest = o.Digest
	}
	signer := cms.Signer{
		Certificate: id.Certificate,
		Key:         key,
		Digest:      digest,
		PSS:         o.PSS,
		Time:        o.Time,
	}
	signer.OmitSigningCertificate, signer.OmitAlgorithmProtection = o.Omit.SigningCertificate, o.Omit.AlgorithmProtection
	if o.Omit.Capabilities {
		signer.Ciphers = []cms.Cipher{}
	}
	if !o.Omit.EncryptionCertificate {
		signer.EncryptionCertificate = forReplies(id, o.Time)
	}
	return signer, nil
}

// forReplies returns the certificate that replies should be encrypted to (RFC 8551
// section 2.5.3): the signer's own, or where that only signs the newest in the
// chain that is valid at the time given; nil where there is none.
func forReplies(id *certs.Identity, at time.Time) *x509.Certificate {
	if certs.Decrypts(id.Certificate) {
		return id.Certificate
	}
	var twin *x509.Certificate
	for _, c := range id.Chain {
		if c.IsCA || !certs.Decrypts(c) || !at.IsZero() && (at.Before(c.NotBefore) || at.After(c.NotAfter)) {
			continue
		}
		if twin == nil || certs.Newer(c, twin) {
			twin = c
		}
	}
	return twin
}

// clear makes multipart/signed (RFC 8551 section 3.5.3).
func clear[T any](m *message.Message, p HeaderProtection, content *entity, request cms.SignRequest, finish func(*message.Draft) (*T, error)) (*T, error) {
	digest := request.Signers[0].Digest
	var d digester
	if raw, ok := content.bytes(); ok {
		d.start(digest, raw)
		defer d.wait()
	}
	boundary := newBoundary(m.Root())
	before := "This is an S/MIME signed message.\r\n\r\n--" + boundary + "\r\n"
	behind := "\r\n--" + boundary + "\r\n" +
		"Content-Type: application/pkcs7-signature; name=\"smime.p7s\"\r\n" +
		"Content-Transfer-Encoding: base64\r\n" +
		"Content-Disposition: attachment; filename=\"smime.p7s\"\r\n\r\n"
	body := append([]message.Piece{message.Text(before), message.Text(message.WriteHeader(content.fields))}, content.body...)
	signature := func(sum []byte) (message.Piece, error) {
		request.Detached, request.Digests = true, map[crypto.Hash][]byte{digest: sum}
		object, err := signObject(request)
		if err != nil {
			return nil, err
		}
		return message.Base64(object), nil
	}
	signed := message.Later(objectGuess(request), func(written [][]byte) (message.Piece, error) {
		if !d.started {
			d.start(digest, trimmed(written, len(before), len(behind)))
		}
		return signature(d.wait())
	})
	if content.large {
		sum, err := digestLarge(digest, content)
		if err != nil {
			return nil, err
		}
		if signed, err = signature(sum); err != nil {
			return nil, err
		}
	}
	body = append(body, message.Text(behind), signed, message.Text("\r\n--"+boundary+"--\r\n"))
	draft, err := m.Draft(outerChange(m, p, &message.Entity{
		Fields: []message.Field{{Name: "Content-Type", Raw: []byte(
			"Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\";\r\n" +
				" micalg=" + cms.DigestName(digest) + "; boundary=\"" + boundary + "\"\r\n")}},
		Body: body,
	}))
	if err != nil {
		return nil, err
	}
	return finish(draft)
}

// trimmed returns pieces without the first and the last octets.
func trimmed(pieces [][]byte, first, last int) [][]byte {
	out := make([][]byte, 0, len(pieces))
	for _, p := range pieces {
		n := min(first, len(p))
		first -= n
		out = append(out, p[n:])
	}
	for i := len(out) - 1; last > 0 && i >= 0; i-- {
		n := min(last, len(out[i]))
		last -= n
		out[i] = out[i][:len(out[i])-n]
	}
	return out
}

// objectGuess is about how long a detached signature will be in base64.
func objectGuess(request cms.SignRequest) int {
	n := 2048 + len(request.Signers[0].Certificate.Raw)
	for _, c := range request.Certificates {
		n += len(c.Raw)
	}
	return n * 3 / 2
}

// objectEntity is application/pkcs7-mime (RFC 8551 section 3.2).
func objectEntity(smimeType string, object *cms.Object) *message.Entity {
	return &message.Entity{Fields: objectFields(smimeType), Body: []message.Piece{message.Base64(object)}}
}

// objectFields are the fields of a CMS object (RFC 8551 section 3.2).
func objectFields(smimeType string) []message.Field {
	return []message.Field{
		{Name: "Content-Type", Raw: []byte(
			"Content-Type: application/pkcs7-mime; smime-type=" + smimeType + ";\r\n name=\"smime.p7m\"\r\n")},
		message.RawField("Content-Transfer-Encoding", "base64"),
		message.RawField("Content-Disposition", "attachment; filename=\"smime.p7m\""),
	}
}

// newBoundary returns a boundary for what stands around root that occurs nowhere:
// 128 random bits, and an underscore behind an equals sign, which neither base64
// nor quoted-printable can contain (RFC 2045 section 6.7).
func newBoundary(root *message.Part) string {
	var boundary string
	for range 100 {
		var b [16]byte
		rand.Read(b[:])
		boundary = hex.EncodeToString(b[:2]) + "=_" + hex.EncodeToString(b[2:])
		if _, swallowed := root.Swallows(boundary); !swallowed {
			break
		}
	}
	return boundary
}
