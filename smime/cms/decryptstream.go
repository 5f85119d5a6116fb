package cms

import (
	"bytes"
	"crypto"
	"crypto/cipher"
	"io"
)

// A spooled is a ciphertext that is not in memory.
type spooled struct {
	spool       io.ReadWriteSeeker
	start, size int64
}

// from returns the ciphertext from an offset on.
func (s *spooled) from(offset int64) (io.Reader, error) {
	if _, err := s.spool.Seek(s.start+offset, io.SeekStart); err != nil {
		return nil, err
	}
	return io.LimitReader(s.spool, s.size-offset), nil
}

// chunks iterates over the ciphertext.
func (s *spooled) chunks(yield func([]byte) bool) {
	r, err := s.from(0)
	if err != nil {
		return
	}
	_ = pump(r, func(buf []byte, _ bool) error {
		if !yield(buf) {
			return io.EOF
		}
		return nil
	})
}

// DecryptTo is Decrypt for an object of ReadEnvelopedData, and writes the plaintext to w.
// Nothing is written before its tag or its padding was checked: the spool is read twice,
// and with an authenticated cipher is the same both times, or the error is ErrDecrypt and
// what was written must not be used. Errors of the spool and of w are returned as they
// are.
func (e *EnvelopedData) DecryptTo(w io.Writer, i int, key crypto.PrivateKey, o DecryptOptions) error {
	o.to = w
	plain, err := e.decrypt(i, key, o)
	if err == nil && e.spooled == nil {
		_, err = w.Write(plain)
	}
	return err
}

// inMemory is DecryptTo for those who want the plaintext of a spooled object in memory.
func (e *EnvelopedData) inMemory(i int, key crypto.PrivateKey, o DecryptOptions) ([]byte, error) {
	var b bytes.Buffer
	if err := e.DecryptTo(&b, i, key, o); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// openCBC writes the plaintext of a block mode. The padding is in the last block, which
// the block before decrypts: it is judged first, and openCBC says how.
func (s *spooled) openCBC(w io.Writer, b cipher.Block, iv []byte) error {
	size := int64(b.BlockSize())
	if s.size == 0 || s.size%size != 0 || int64(len(iv)) != size {
		return ErrDecrypt
	}
	before := bytes.Clone(iv)
	last := make([]byte, size)
	if s.size > size {
		if err := s.readAt(before, s.size-2*size); err != nil {
			return err
		}
	}
	if err := s.readAt(last, s.size-size); err != nil {
		return err
	}
	end, err := openCBC(last, last, b, before)
	if err != nil {
		return err
	}
	left := s.size - size + int64(len(end))
	r, err := s.from(0)
	if err != nil {
		return err
	}
	mode := cipher.NewCBCDecrypter(b, iv)
	return pump(r, func(buf []byte, last bool) error {
		if len(buf)%b.BlockSize() != 0 {
			return io.ErrUnexpectedEOF
		}
		mode.CryptBlocks(buf, buf)
		n := min(int64(len(buf)), left)
		if left -= n; last && left > 0 {
			return io.ErrUnexpectedEOF
		}
		_, err := w.Write(buf[:n])
		return err
	})
}

// readAt fills b from an offset.
func (s *spooled) readAt(b []byte, offset int64) error {
	r, err := s.from(offset)
	if err != nil {
		return err
	}
	_, err = io.ReadFull(r, b)
	return err
}

// openAEAD writes the plaintext of an AEAD, which is made for each of two passes:
// the first finds the additional data that mac covers, the second decrypts.
func (s *spooled) openAEAD(w io.Writer, mac []byte, covered [][]byte, fresh func(additional []byte) (*streamAEAD, error)) error {
	for _, additional := range covered {
		genuine, err := s.pass(fresh, additional, mac, nil)
		if err != nil {
			return err
		}
		if !genuine {
			continue
		}
		if genuine, err = s.pass(fresh, additional, mac, w); err == nil && !genuine {
			err = ErrDecrypt // the spool has changed
		}
		return err
	}
	return ErrDecrypt
}

// pass reads the ciphertext once, decrypts it to w if that is not nil, and reports
// whether mac is its tag.
func (s *spooled) pass(fresh func([]byte) (*streamAEAD, error), additional, mac []byte, w io.Writer) (bool, error) {
	a, err := fresh(additional)
	if err != nil {
		return false, err
	}
	r, err := s.from(0)
	if err != nil {
		return false, err
	}
	err = pump(r, func(buf []byte, _ bool) error {
		if w == nil {
			a.check(buf)
			return nil
		}
		a.open(buf)
		_, err := w.Write(buf)
		return err
	})
	return err == nil && a.size == uint64(s.size) && a.genuine(mac), err
}
