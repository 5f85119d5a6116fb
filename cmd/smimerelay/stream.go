package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
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

// heldInMemory is up to how many octets of a result need no file.
const heldInMemory = 1 << 20

// A spill keeps what is written in memory, and from a size on in a file that only this
// user can read.
type spill struct {
	start bytes.Buffer
	file  *os.File
}

// Write is that of io.Writer.
func (s *spill) Write(b []byte) (int, error) {
	if s.file == nil && s.start.Len()+len(b) <= heldInMemory {
		return s.start.Write(b)
	}
	if s.file == nil {
		f, err := os.CreateTemp("", "smimerelay")
		if err != nil {
			return 0, fmt.Errorf("%w; set TMPDIR to a folder with room", err)
		}
		s.file = f
	}
	return s.file.Write(b)
}

// close removes the file.
func (s *spill) close() {
	if s.file != nil {
		s.file.Close()
		os.Remove(s.file.Name())
	}
}

// printWhole prints what write gives when all of it is there, and nothing after an error.
func (a *app) printWhole(write func(io.Writer) error) error {
	s := new(spill)
	defer s.close()
	if err := write(s); err != nil {
		return err
	}
	if _, err := a.stdout.Write(s.start.Bytes()); err != nil || s.file == nil {
		return err
	}
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	_, err := io.Copy(a.stdout, s.file)
	return err
}
