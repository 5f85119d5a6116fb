package cms

import (
	"crypto"
	"hash"
	"io"

	"github.com/smimerelay/smimerelay/internal/pkix"
)

// Digest hashes what r gives by each function, for SignRequest.Digests and
// VerifyOptions.Digests: a detached content of any size is signed and verified
// without being in memory. SignedData.Digests names the functions that a verifier
// needs.
func Digest(r io.Reader, functions ...crypto.Hash) (map[crypto.Hash][]byte, error) {
	for _, f := range functions {
		if DigestName(f) == "" || !pkix.HashAvailable(f) {
			return nil, unsupported("digest %d", f)
		}
		if err := approvedDigest(f); err != nil {
			return nil, err
		}
	}
	d := newDigests(functions)
	if _, err := io.Copy(d, r); err != nil {
		return nil, err
	}
	return d.sums(), nil
}

// digests hash a content by several functions, each once.
type digests map[crypto.Hash]hash.Hash

func newDigests(functions []crypto.Hash) digests {
	d := make(digests, len(functions))
	for _, f := range functions {
		if d[f] == nil {
			d[f] = pkix.NewHash(f)
		}
	}
	return d
}

// Write is that of io.Writer, and never fails.
func (d digests) Write(b []byte) (int, error) {
	for _, state := range d {
		state.Write(b)
	}
	return len(b), nil
}

func (d digests) sums() map[crypto.Hash][]byte {
	sums := make(map[crypto.Hash][]byte, len(d))
	for f, state := range d {
		sums[f] = state.Sum(nil)
	}
	return sums
}
