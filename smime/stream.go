package smime

import (
	"bytes"
	"crypto/fips140"
	"crypto/x509"
	"io"

	"github.com/smimerelay/smimerelay/smime/cms"
	"github.com/smimerelay/smimerelay/smime/message"
)

// smallMessage is up to which size EncryptStream has a message in memory, in octets.
const smallMessage = 1 << 20

// EncryptStream writes to w what Encrypt makes of the message that r gives. One of more
// than 1 MB goes through a small buffer, unless it has no Content-Type, its header is to
// be protected, or the FIPS module has no stream of the cipher. What is below its header is not looked at then. Where r is no
// io.Seeker, the size is not known before, and the object is of indefinite length: see
// cms.EncryptStream. Errors are those of Encrypt, r and w; after one, w has a part of a
// message, which must not be used.
func EncryptStream(w io.Writer, r io.Reader, to []*x509.Certificate, o EncryptOptions) error {
	from, seeker := position(r)
	start := bytes.NewBuffer(make([]byte, 0, smallMessage+1+bytes.MinRead))
	if _, err := start.ReadFrom(io.LimitReader(r, smallMessage+1)); err != nil {
		return err
	}
	small := start.Len() <= smallMessage
	whole := io.MultiReader(start, r)
	if small || o.Headers != HeadersOpen || fips140.Enforced() && o.Cipher.Authenticated() {
		return encryptWhole(w, whole, to, o)
	}
	m, body, err := message.SplitHeader(whole)
	if err != nil {
		return err
	}
	if !m.Has("Content-Type") { // its body would have to be read for one
		return encryptWhole(w, io.MultiReader(bytes.NewReader(m.Header()), body), to, o)
	}
	size := int64(-1)
	if seeker != nil {
		at := from + int64(len(m.Header()))
		if size, err = canonicalSize(seeker, at); err != nil {
			return err
		}
		body = seeker
	}
	return encryptLarge(w, m, body, size, to, o)
}

// position returns where r is, and r if it can go back there.
func position(r io.Reader) (int64, io.ReadSeeker) {
	seeker, ok := r.(io.ReadSeeker)
	if !ok {
		return 0, nil
	}
	at, err := seeker.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0, nil // a pipe is a file too
	}
	return at, seeker
}

// canonicalSize returns the size of what is behind at, with CRLF line ends, and goes back
// there.
func canonicalSize(r io.ReadSeeker, at int64) (int64, error) {
	if _, err := r.Seek(at, io.SeekStart); err != nil {
		return 0, err
	}
	size, err := io.Copy(io.Discard, message.CanonicalReader(r))
	if err != nil {
		return 0, err
	}
	_, err = r.Seek(at, io.SeekStart)
	return size, err
}

// encryptWhole is EncryptStream in memory.
func encryptWhole(w io.Writer, r io.Reader, to []*x509.Certificate, o EncryptOptions) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	m, err := message.Parse(raw)
	if err != nil {
		return err
	}
	encrypted, err := Encrypt(m, to, o)
	if err != nil {
		return err
	}
	_, err = w.Write(encrypted.Bytes())
	return err
}

// encryptLarge writes the message with the header of m, whose body has the size given.
func encryptLarge(w io.Writer, m *message.Message, body io.Reader, size int64, to []*x509.Certificate, o EncryptOptions) error {
	if err := sendable(m); err != nil {
		return err
	}
	return writeObject(w, m, contentFields(m), o.Headers, o.smimeType(), func(w io.Writer, fields []byte) error {
		if size >= 0 {
			size += int64(len(fields))
		}
		content := io.MultiReader(bytes.NewReader(fields), message.CanonicalReader(body))
		return notEncrypted(cms.EncryptStream(w, o.request(to), content, size))
	})
}
