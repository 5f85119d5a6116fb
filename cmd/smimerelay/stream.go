package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/smimerelay/smimerelay/internal/spool"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/message"
)

// openMessage opens a message in a file, or standard input when path is "" or "-", behind
// the line with which a mailbox file begins it. The caller closes.
func (a *app) openMessage(path string) (io.Reader, io.Closer, error) {
	r, closer := a.stdin, io.NopCloser(nil)
	if path != "" && path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, nil, fmt.Errorf("%w; check the path", err)
		}
		r, closer = f, f
	}
	r, err := atMessage(r)
	if errors.Is(err, io.EOF) {
		err = errors.New("empty; use a file that contains a message")
	}
	if err != nil {
		closer.Close()
		return nil, nil, fmt.Errorf("%s: %w", inputName(path), err)
	}
	return r, closer, nil
}

// atMessage looks at the first line. A file can go back, and stays one that can.
func atMessage(r io.Reader) (io.Reader, error) {
	file, ok := r.(io.ReadSeeker)
	from := int64(0)
	if ok {
		var err error
		if from, err = file.Seek(0, io.SeekCurrent); err != nil {
			ok = false // a pipe is a file too
		}
	}
	b := bufio.NewReader(r)
	start, err := b.Peek(b.Size())
	if len(start) == 0 {
		return nil, err
	}
	skip := len(start) - len(withoutMboxLine(start))
	if ok {
		_, err = file.Seek(from+int64(skip), io.SeekStart)
		return file, err
	}
	_, err = b.Discard(skip)
	return b, err
}

// heldInMemory is up to how many octets need no file.
const heldInMemory = 1 << 20

// A spill keeps what is written in memory, and more than that in a file.
type spill struct {
	start bytes.Buffer
	file  *spool.File
}

// Write is that of io.Writer.
func (s *spill) Write(b []byte) (int, error) {
	if s.file == nil && s.start.Len()+len(b) <= heldInMemory {
		return s.start.Write(b)
	}
	if s.file == nil {
		f, err := spool.New()
		if err != nil {
			return 0, err
		}
		s.file = f
		if _, err := f.Write(s.start.Bytes()); err != nil {
			return 0, err
		}
		s.start = bytes.Buffer{}
	}
	return s.file.Write(b)
}

// content returns what was written.
func (s *spill) content() *io.SectionReader {
	if s.file != nil {
		return io.NewSectionReader(s.file, 0, s.file.Size())
	}
	return io.NewSectionReader(bytes.NewReader(s.start.Bytes()), 0, int64(s.start.Len()))
}

// Close gives the room back.
func (s *spill) Close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}

// printWhole prints what write gives when all of it is there, and nothing after an error.
func (a *app) printWhole(write func(io.Writer) error) error {
	s := new(spill)
	defer s.Close()
	if err := write(s); err != nil {
		return err
	}
	_, err := io.Copy(a.stdout, s.content())
	return err
}

// A largeMessage is a message that is read more than once, and what is made of it. It
// needs little memory, whatever its size.
type largeMessage struct {
	*io.SectionReader
	closers []io.Closer
}

// readLarge opens a message for the verbs that read it more than once. The caller closes.
func (a *app) readLarge(path string) (*largeMessage, error) {
	r, closer, err := a.openMessage(path)
	if err != nil {
		return nil, unusable(err)
	}
	m := &largeMessage{closers: []io.Closer{closer}}
	if f, ok := r.(*os.File); ok && sizeOf(f) > 0 {
		at, err := f.Seek(0, io.SeekCurrent)
		if err != nil {
			return nil, m.failed(path, err)
		}
		m.SectionReader = io.NewSectionReader(f, at, int64(sizeOf(f))-at)
	} else if err := m.keep(r); err != nil {
		return nil, m.failed(path, err)
	}
	if m.Size() > maxInput {
		return nil, m.failed(path, fmt.Errorf("larger than %d octets; use a smaller message", maxInput))
	}
	return m, nil
}

// readLargeCanonical is readLarge for a message that will be sent: its line ends become
// CRLF.
func (a *app) readLargeCanonical(path string) (*largeMessage, error) {
	m, err := a.readLarge(path)
	if err != nil {
		return nil, err
	}
	s, _, err := message.ScanReader(m)
	if err == nil {
		_, err = m.Seek(0, io.SeekStart)
	}
	if err == nil && !s.CRLF {
		err = m.keep(message.CanonicalReader(m.SectionReader))
	}
	if err != nil {
		return nil, m.failed(path, err)
	}
	return m, nil
}

// keep makes m what r gives.
func (m *largeMessage) keep(r io.Reader) error {
	s := new(spill)
	m.closers = append(m.closers, s)
	if _, err := io.Copy(s, io.LimitReader(r, maxInput+1)); err != nil {
		return err
	}
	m.SectionReader = s.content()
	return nil
}

// spool makes room for what is in m.
func (m *largeMessage) spool() (smime.Spool, error) {
	f, err := spool.New()
	if err != nil {
		return nil, err
	}
	m.closers = append(m.closers, f)
	return f, nil
}

// failed closes, and returns the error of a message that cannot be used.
func (m *largeMessage) failed(path string, err error) error {
	m.Close()
	return unusable(fmt.Errorf("%s: %w", inputName(path), err))
}

// Close gives the room back.
func (m *largeMessage) Close() error {
	var errs []error
	for _, c := range m.closers {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// open decrypts and verifies m, which path names.
func (m *largeMessage) open(path string, o smime.OpenOptions) (*smime.StreamOpened, error) {
	opened, err := smime.OpenStream(background(), m, m.Size(), o, m.spool)
	if err != nil {
		return nil, unusableMessage(path, err)
	}
	return opened, nil
}

// unusableMessage is the error of a message that cannot be read.
func unusableMessage(path string, err error) error {
	if errors.Is(err, message.ErrMalformed) {
		err = fmt.Errorf("not a message: %w; use an RFC 5322 message with a header", err)
	}
	return unusable(fmt.Errorf("%s: %w", inputName(path), err))
}
