package smime

import (
	"bytes"
	"crypto"
	"errors"
	"io"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/smime/cms"
	"github.com/smimerelay/smimerelay/smime/message"
)

// SignStream writes to w what Sign makes of the message of size octets that r gives. Most
// of what is large in it goes through a small buffer, several times. It is in memory where
// its header is to be protected or has LF line ends, and where what is large stands between
// its parts. Errors are those of Sign, r and w; after one, w has a part of a message, which
// must not be used.
func SignStream(w io.Writer, r io.ReaderAt, size int64, id *certs.Identity, o SignOptions) error {
	m, err := message.ParseLarge(r, size)
	if err != nil {
		return err
	}
	if m.Root().Large() && o.Headers == HeadersOpen && !o.Wrapped {
		if err = signLarge(w, m, id, o); !errors.Is(err, errInMemory) {
			return err
		}
	}
	if m, err = inMemory(m); err != nil {
		return err
	}
	signed, err := SignDraft(m, id, o)
	if err != nil {
		return err
	}
	_, err = signed.WriteTo(w)
	return err
}

// inMemory returns m with all of its contents.
func inMemory(m *message.Message) (*message.Message, error) {
	if !m.Root().Large() {
		return m, nil
	}
	raw, err := io.ReadAll(m.Root().Reader())
	if err != nil {
		return nil, err
	}
	return message.Parse(raw)
}

// signLarge is Sign for a message that is not in memory.
func signLarge(w io.Writer, m *message.Message, id *certs.Identity, o SignOptions) error {
	signer, err := o.signer(id)
	if err != nil {
		return err
	}
	if err := sendable(m); err != nil {
		return err
	}
	request := cms.SignRequest{Signers: []cms.Signer{signer}, Certificates: sent(id, o.Roots)}
	if !o.Opaque {
		content, err := safeEntity(m, o.Headers)
		if err == nil {
			draft, err := clear(m, o.Headers, content, request, same[message.Draft])
			if err == nil {
				_, err = draft.WriteTo(w)
			}
			return err
		}
		if !errors.Is(err, errUnsafe) {
			return err
		}
	}
	return writeObject(w, m, contentFields(m), o.Headers, "signed-data", func(w io.Writer, fields []byte) error {
		content := io.MultiReader(bytes.NewReader(fields), message.CanonicalReader(m.Root().ContentReader()))
		return notSigned(cms.SignStream(w, request, content))
	})
}

// same returns what it is given.
func same[T any](v *T) (*T, error) { return v, nil }

// digestLarge returns the digest of an entity that is not in memory.
func digestLarge(h crypto.Hash, content *entity) ([]byte, error) {
	hash := h.New()
	hash.Write(message.WriteHeader(content.fields))
	err := message.WritePieces(hash, content.body)
	return hash.Sum(nil), err
}

// writeObject writes the message of which m has the header with a CMS object for its
// body. write is given the header of what is inside, inner, with CRLF line ends.
func writeObject(w io.Writer, m *message.Message, inner []message.Field, p HeaderProtection, smimeType string, write func(w io.Writer, fields []byte) error) error {
	head, err := message.Parse(message.Canonical(m.Header()))
	if err != nil {
		return err
	}
	d, err := head.Draft(outerChange(head, p, &message.Entity{Fields: objectFields(smimeType)}))
	if err != nil {
		return err
	}
	if _, err := d.WriteTo(w); err != nil {
		return err
	}
	encoded := message.EncodeBase64(w)
	if err := write(encoded, message.WriteHeader(canonicalFields(inner))); err != nil {
		return err
	}
	return encoded.Close()
}

// notSigned and notEncrypted mark the errors of package cms; those of a reader or a writer
// stay what they are.
func notSigned(err error) error {
	if ofCMS(err) {
		return fault.New(fault.Identity, "the message cannot be signed", err)
	}
	return err
}

func notEncrypted(err error) error {
	if ofCMS(err) {
		return fault.New(fault.Internal, "the message cannot be encrypted", err)
	}
	return err
}

// ofCMS reports whether err is one of package cms.
func ofCMS(err error) bool {
	for _, kind := range []error{cms.ErrUnsupported, cms.ErrKey, cms.ErrWeak, cms.ErrNotApproved, cms.ErrTooBig, cms.ErrMalformed} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}
