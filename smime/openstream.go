package smime

import (
	"bufio"
	"context"
	"crypto"
	"crypto/fips140"
	"errors"
	"io"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/smime/cms"
	"github.com/smimerelay/smimerelay/smime/message"
)

// A Spool has room for what is in a layer of a large message, encrypted and decrypted: it
// should be a file that no other user can read. Write appends; the other methods read.
type Spool interface {
	io.ReadWriteSeeker
	io.ReaderAt
}

// StreamOpened is what OpenStream found.
type StreamOpened struct {
	// Decrypted says that something was decrypted, and Report what was found.
	Decrypted bool
	Report    Report
	// KeyError and NoMemory are those of Opened.
	KeyError error
	NoMemory bool

	surface *message.Draft
	given   *message.Message
}

// WriteTo writes the message to deliver: what Opened.Message is. Errors are those of w, of
// the spools, and of what the message was read from.
func (o *StreamOpened) WriteTo(w io.Writer) (int64, error) {
	if o.surface == nil {
		return io.Copy(w, o.given.Root().Reader())
	}
	return o.surface.WriteTo(w)
}

// OpenStream is Open for a message of size octets that r gives, and for which spool makes
// room as needed. Most of what is large in it goes through small buffers. What is
// compressed is in memory, and so is what was signed without signed attributes, what was
// clearly signed and then encrypted with lines that SMTP does not carry, and with
// GODEBUG=fips140=only what is encrypted. Errors are those of r and of the
// spools, and message.ErrMalformed; what was opened depends on both until it was written.
func OpenStream(ctx context.Context, r io.ReaderAt, size int64, o OpenOptions, spool func() (Spool, error)) (*StreamOpened, error) {
	w := newWalker(ctx, nil, o)
	w.spool = spool
	var err error
	if w.given, err = message.ParseLarge(watchedAt{r, &w.failed}, size); err != nil {
		return nil, err
	}
	w.walk()
	opened := &StreamOpened{given: w.given}
	if w.surface != nil && w.failed == nil {
		if delivered, err := bringUpLarge(w.given, w.surface, w.payload()); err != nil {
			w.stop(certs.PermError, ReasonDecrypt, "what was decrypted cannot be delivered: "+err.Error())
		} else {
			opened.surface, opened.Decrypted = delivered, true
		}
	}
	w.conclude()
	opened.Report, opened.KeyError, opened.NoMemory = w.report, w.keyError, w.noMemory
	return opened, w.failed
}

// bringUpLarge is bringUp for a message that may be large.
func bringUpLarge(m, inner *message.Message, payload *message.Part) (*message.Draft, error) {
	if err := unambiguous(inner); err != nil {
		return nil, err
	}
	change := message.Change{}
	if payload != nil {
		change = restored(m, payload)
	}
	var err error
	if change.Entity, err = carriedLarge(inner); err != nil {
		return nil, err
	}
	return m.Draft(change)
}

// carriedLarge is carried for a message that may be large.
func carriedLarge(m *message.Message) (*message.Entity, error) {
	if m.Root().Large() {
		c := carrier{message: m}
		fields := c.content(m.Root(), canonicalFields(contentFields(m)))
		if c.failed == nil {
			return &message.Entity{Fields: fields, Body: c.pieces, Received: true}, nil
		}
		if !errors.Is(c.failed, errInMemory) {
			return nil, c.failed
		}
	}
	m, err := inMemory(m)
	if err != nil {
		return nil, err
	}
	return carried(m), nil
}

// openLarge opens a CMS object that is not in memory.
func (w *walker) openLarge() {
	r, err := w.part.DecodeReader()
	w.file, w.part = fileName(w.part), nil
	if err != nil {
		w.stop(certs.PermError, ReasonMalformed, err.Error())
		return
	}
	object := bufio.NewReaderSize(r, peek)
	head, _ := object.Peek(peek) // an error is that of reading on
	kind, err := cms.ContentType(closed(head))
	switch {
	case err != nil:
		w.stop(certs.PermError, ReasonMalformed, err.Error())
	case kind == cms.TypeSigned:
		w.openSignedLarge(object)
	case kind == cms.TypeCompressed:
		w.whole(object, w.openCompressed)
	case kind != cms.TypeEnveloped && kind != cms.TypeAuthEnveloped:
		w.stop(certs.PermError, ReasonUnsupported, "content type "+string(kind))
	case fips140.Enforced():
		// The module decrypts AES-GCM in memory only.
		w.whole(object, func(object []byte) { w.openEnveloped(object, true) })
	default:
		w.openEnvelopedLarge(object)
	}
}

// whole opens an object that has to be in memory.
func (w *walker) whole(r io.Reader, open func(object []byte)) {
	object, err := io.ReadAll(r)
	if err != nil {
		w.stop(certs.PermError, ReasonMalformed, err.Error())
		return
	}
	open(object)
}

func (w *walker) openSignedLarge(object io.Reader) {
	content, err := w.newSpool()
	if err != nil {
		return
	}
	data, err := w.options.Certificates.ReadSignedData(object, content)
	s := &signature{data: data}
	if err == nil && data.OverContent() {
		s.spooled, err = content.all()
	}
	if w.opaque(s, err, content.size > 0) {
		w.innerLarge(content)
	}
}

func (w *walker) openEnvelopedLarge(object io.Reader) {
	ciphertext, err := w.newSpool()
	if err != nil {
		return
	}
	env, err := cms.ReadEnvelopedData(object, ciphertext)
	var content *watchedSpool
	if w.decrypt(env, err, false, func(i int, key crypto.PrivateKey, o cms.DecryptOptions) error {
		if content, err = w.newSpool(); err != nil {
			return err
		}
		return env.DecryptTo(content, i, key, o)
	}) {
		w.surface = w.innerLarge(content)
		w.sealed = false
	}
}

// innerLarge is inner for what is in a spool.
func (w *walker) innerLarge(content *watchedSpool) *message.Message {
	m, err := message.ParseLarge(content, content.size)
	if err != nil || !entityFor(m, w.file) {
		all, err := content.all()
		if err != nil {
			return nil // which the spool has noted
		}
		return w.inner(all)
	}
	w.part, w.unwrapped = m.Root(), m
	return m
}

// decodeAll is Decode for a part that may be large.
func decodeAll(p *message.Part) ([]byte, error) {
	if !p.Large() {
		return p.Decode()
	}
	r, err := p.DecodeReader()
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// newSpool returns a spool. What fails in it ends the walk.
func (w *walker) newSpool() (*watchedSpool, error) {
	s, err := w.spool()
	if err != nil {
		note(err, &w.failed)
		w.stop(certs.TempError, "", err.Error())
		return nil, err
	}
	return &watchedSpool{Spool: s, failed: &w.failed}, nil
}

// A watchedSpool notes what fails in a spool, and how much was written.
type watchedSpool struct {
	Spool
	size   int64
	failed *error
}

// all returns what was written.
func (s *watchedSpool) all() ([]byte, error) {
	return io.ReadAll(io.NewSectionReader(s, 0, s.size))
}

func (s *watchedSpool) Read(b []byte) (int, error) {
	n, err := s.Spool.Read(b)
	return n, note(err, s.failed)
}

func (s *watchedSpool) ReadAt(b []byte, off int64) (int, error) {
	n, err := s.Spool.ReadAt(b, off)
	return n, note(err, s.failed)
}

func (s *watchedSpool) Write(b []byte) (int, error) {
	n, err := s.Spool.Write(b)
	s.size += int64(n)
	return n, note(err, s.failed)
}

func (s *watchedSpool) Seek(offset int64, whence int) (int64, error) {
	at, err := s.Spool.Seek(offset, whence)
	return at, note(err, s.failed)
}

// A watchedAt notes what fails in reading a message.
type watchedAt struct {
	r      io.ReaderAt
	failed *error
}

func (a watchedAt) ReadAt(b []byte, off int64) (int, error) {
	n, err := a.r.ReadAt(b, off)
	return n, note(err, a.failed)
}

// note keeps the first failure, and returns err.
func note(err error, failed *error) error {
	if err != nil && !errors.Is(err, io.EOF) && *failed == nil {
		*failed = err
	}
	return err
}
