// Package spool is memory on disk: a file for what is too large for memory. What it holds
// is encrypted under a key that only this process has, and on Unix the file has no name,
// so that nothing is left of it when the process ends in whatever way.
package spool

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
)

// bufferSize is how much is encrypted at once, in octets.
const bufferSize = 32 << 10

// A File is written from its start to its end, and read anywhere.
type File struct {
	f         *os.File
	block     cipher.Block
	size, pos int64
	buf       []byte
}

// New returns an empty file in the folder of os.TempDir. Errors are those of the file
// system; the caller closes.
func New() (*File, error) {
	f, err := os.CreateTemp("", "smimerelay")
	if err != nil {
		return nil, fmt.Errorf("%w; set TMPDIR to a folder with room", err)
	}
	// Windows removes no open file: Close does then.
	_ = os.Remove(f.Name())
	var key [32]byte
	rand.Read(key[:])
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &File{f: f, block: block}, nil
}

// Close gives the room back.
func (f *File) Close() error {
	err := f.f.Close()
	if e := os.Remove(f.f.Name()); !errors.Is(e, fs.ErrNotExist) {
		err = errors.Join(err, e)
	}
	return err
}

// Size returns how many octets were written.
func (f *File) Size() int64 { return f.size }

// keyStream returns AES-CTR from an offset on. No octet is written twice, so that the key,
// which is of this file alone, needs no nonce.
func (f *File) keyStream(offset int64) cipher.Stream {
	var counter [aes.BlockSize]byte
	binary.BigEndian.PutUint64(counter[8:], uint64(offset/aes.BlockSize))
	s := cipher.NewCTR(f.block, counter[:])
	var skipped [aes.BlockSize]byte
	used := skipped[:offset%aes.BlockSize]
	s.XORKeyStream(used, used)
	return s
}

// Write appends. Errors are those of the file system.
func (f *File) Write(b []byte) (n int, err error) {
	if f.buf == nil {
		f.buf = make([]byte, bufferSize)
	}
	s := f.keyStream(f.size)
	for n < len(b) && err == nil {
		part := f.buf[:min(len(b)-n, bufferSize)]
		s.XORKeyStream(part, b[n:n+len(part)])
		var k int
		k, err = f.f.WriteAt(part, f.size)
		n, f.size = n+k, f.size+int64(k)
	}
	return n, err
}

// ReadAt is that of io.ReaderAt.
func (f *File) ReadAt(b []byte, offset int64) (int, error) {
	n, err := f.f.ReadAt(b, offset)
	f.keyStream(offset).XORKeyStream(b[:n], b[:n])
	return n, err
}

// Read is that of io.Reader. It starts at the first octet.
func (f *File) Read(b []byte) (int, error) {
	n, err := f.ReadAt(b, f.pos)
	if f.pos += int64(n); n > 0 && errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

// Seek is that of io.Seeker, for Read.
func (f *File) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += f.pos
	case io.SeekEnd:
		offset += f.size
	}
	if offset < 0 || offset > math.MaxInt64/2 {
		return 0, errors.New("spool: an offset outside of the file")
	}
	f.pos = offset
	return offset, nil
}
