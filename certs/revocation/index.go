package revocation

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sort"
	"time"
)

// record is one revoked certificate: 16 octets of the SHA-256 of its issuer's
// name and its serial, the time in seconds and the reason. An entry of a list is
// about twice that long, and of no fixed size.
type record [recordSize]byte

const (
	recordSize = 21
	idSize     = 16
)

// inMemory is the size of an index, in octets, up to which it needs no file.
const inMemory = 64 << 10

func recordID(issuer string, serial []byte) [sha256.Size]byte {
	for len(serial) > 1 && (serial[0] == 0 && serial[1] < 0x80 || serial[0] == 0xff && serial[1] >= 0x80) {
		serial = serial[1:] // not minimal, and the same number
	}
	b := make([]byte, 0, 256)
	b = append(b, issuer...)
	b = append(b, 0)
	return sha256.Sum256(append(b, serial...))
}

func newRecord(issuer string, serial []byte, at time.Time, reason int) (r record) {
	id := recordID(issuer, serial)
	copy(r[:idSize], id[:])
	binary.BigEndian.PutUint32(r[idSize:], uint32(max(0, min(at.Unix(), 1<<32-1))))
	r[idSize+4] = byte(reason)
	return r
}

// index is a sorted sequence of records, in memory or in a file.
type index struct {
	data io.ReaderAt
	n    int
	file *os.File
}

// index sorts the records and puts many of them into a file.
func (b *builder) index() (index, error) {
	slices.SortFunc(b.records, func(a, b record) int { return bytes.Compare(a[:], b[:]) })
	size := len(b.records) * recordSize
	if b.dir == "" || size <= inMemory {
		flat := make([]byte, 0, size)
		for _, r := range b.records {
			flat = append(flat, r[:]...)
		}
		return index{data: bytes.NewReader(flat), n: len(b.records)}, nil
	}
	return b.file()
}

func (b *builder) file() (index, error) {
	f, err := os.CreateTemp(b.dir, "crl-*.index")
	if err != nil {
		return index{}, fmt.Errorf("revocation list: %w", err)
	}
	// The open file lives on without its name, and nothing stays after a crash.
	err = os.Remove(f.Name())
	block := make([]byte, 0, recordSize*4096)
	for chunk := range slices.Chunk(b.records, 4096) {
		block = block[:0]
		for _, r := range chunk {
			block = append(block, r[:]...)
		}
		_, writeErr := f.Write(block)
		err = errors.Join(err, writeErr)
	}
	if err != nil {
		return index{}, errors.Join(fmt.Errorf("revocation list: %w", err), f.Close())
	}
	return index{data: f, n: len(b.records), file: f}, nil
}

func (x index) close() error {
	if x.file == nil {
		return nil
	}
	return x.file.Close()
}

// entry is what a list says about a certificate.
type entry struct {
	at     time.Time
	reason int
}

// Reasons of RFC 5280 section 5.3.1.
const (
	reasonHold   = 6
	reasonRemove = 8
)

var reasonNames = [...]string{
	"no reason given", "key compromise", "compromise of the authority", "affiliation changed", "superseded",
	"cessation of operation", "on hold", "no reason given", "removed from the list", "privilege withdrawn", "compromise of an attribute authority",
}

// find looks a certificate up. An error means that the index could not be read,
// which is not the same as not being on the list.
func (x index) find(issuer string, serial []byte) (e entry, found bool, err error) {
	id := recordID(issuer, serial)
	var r record
	read := func(i int) {
		if _, readErr := x.data.ReadAt(r[:], int64(i)*recordSize); readErr != nil && err == nil {
			err = fmt.Errorf("index of the revocation list: %w", readErr)
		}
	}
	i := sort.Search(x.n, func(i int) bool {
		read(i)
		return bytes.Compare(r[:idSize], id[:idSize]) >= 0
	})
	if err != nil || i == x.n {
		return e, false, err
	}
	// Of several entries the first that revokes is it.
	for ; i < x.n && (!found || e.reason == reasonRemove); i++ {
		if read(i); err != nil || !bytes.Equal(r[:idSize], id[:idSize]) {
			break
		}
		found = true
		e.at = time.Unix(int64(binary.BigEndian.Uint32(r[idSize:])), 0)
		e.reason = int(r[idSize+4])
	}
	return e, found, err
}
