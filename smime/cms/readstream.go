package cms

import (
	"crypto"
	"crypto/x509"
	"io"

	"github.com/smimerelay/smimerelay/internal/pkix"
)

// ReadSignedData is ParseSignedData for an object of any size. The content goes to w as
// it comes, before anything is known about its signatures: use it when Verify has said
// that they are good. Content stays nil, as for a detached signature, to which nothing is
// written; Verify knows what the content was. What surrounds the content may have 16 MB.
func ReadSignedData(r io.Reader, w io.Writer) (*SignedData, error) {
	return readSignedData(r, w, parseCertificate)
}

// ReadSignedData is the function of that name, and finds certificates in the cache.
func (c *CertificateCache) ReadSignedData(r io.Reader, w io.Writer) (*SignedData, error) {
	return readSignedData(r, w, c.parse)
}

func readSignedData(r io.Reader, w io.Writer, parse func([]byte) (*x509.Certificate, error)) (*SignedData, error) {
	s := newStripper(r)
	s.open()
	s.enter(tagSequence)
	s.copy() // version
	hash := newDigests(s.functions())
	s.enter(tagSequence)
	contentType := string(s.copy())
	written := false
	if s.peek() == tagContext0 {
		s.enter(tagContext0)
		if contentType == dataType || s.peek()&^tagConstructed == tagOctetString {
			written = true
			s.octets(tagOctetString, func(b []byte) error {
				_, _ = hash.Write(b) // never fails
				_, err := w.Write(b)
				return err
			})
			s.keep(tagOctetString, 0)
		} else {
			s.copy() // an element, which is what PKCS #7 1.5 has for types other than data
		}
		s.leave()
	}
	s.leave()
	s.close()
	if s.err != nil {
		return nil, s.err
	}
	data, err := parseSignedData(s.shell, parse, maxCertificates)
	switch {
	case err != nil:
		return nil, err
	case written:
		data.Content, data.read = nil, hash.sums()
	case data.Content != nil:
		_, err = w.Write(data.Content.Bytes())
	}
	return data, err
}

// dataType is the object identifier of data as an element.
const dataType = "\x06\x09" + oidData

// functions reads the digest algorithms, and returns those that a signature may use.
func (s *stripper) functions() []crypto.Hash {
	at := len(s.shell)
	s.copy()
	if s.err != nil {
		return nil
	}
	c := newCursor(s.shell[at:])
	var data SignedData
	data.readDigests(c)
	var list []crypto.Hash
	for _, a := range data.digests {
		if h := digestOf(a); h != 0 && h != crypto.MD5 && pkix.ApprovedDigest(h) {
			list = append(list, h)
		}
	}
	return list
}

// open enters ContentInfo and its content, of whatever type: the parser of the shell
// refuses one of another. close keeps what is left in these and in the data, and leaves
// all three.
func (s *stripper) open() {
	s.enter(tagSequence)
	s.copy()
	s.enter(tagContext0)
}

func (s *stripper) close() {
	for s.more() {
		s.copy()
	}
	s.leave()
	s.leave()
	s.leave()
	s.filler()
}

// ReadEnvelopedData is ParseEnvelopedData for an object of any size. The ciphertext goes
// to spool, from where it stands, and is read from there when DecryptTo is called: it is
// not known to be genuine before its end. It stays ciphertext there. A file without a name
// in a private folder is a good spool. What surrounds the ciphertext may have 16 MB.
func ReadEnvelopedData(r io.Reader, spool io.ReadWriteSeeker) (*EnvelopedData, error) {
	start, err := spool.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, err
	}
	s := newStripper(r)
	s.open()
	s.enter(tagSequence)
	for s.more() && s.peek() != tagSequence { // version, originatorInfo, recipientInfos
		s.copy()
	}
	s.enter(tagSequence)
	s.copy() // content type
	s.copy() // algorithm
	held := &spooled{spool: spool, start: start, size: -1}
	if t := s.peek(); t == tagContext || t == tagContext0 {
		held.size = 0
		s.octets(tagContext, func(b []byte) error {
			held.size += int64(len(b))
			_, err := spool.Write(b)
			return err
		})
		s.keep(tagContext, 0)
	}
	s.leave()
	s.close()
	if s.err != nil {
		return nil, s.err
	}
	e, err := ParseEnvelopedData(s.shell)
	if err != nil {
		return nil, err
	}
	if held.size >= 0 {
		e.spooled = held
	}
	return e, nil
}
