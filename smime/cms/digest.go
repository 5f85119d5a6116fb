package cms

import (
	"crypto"
	"io"
)

// Digest hashes what r gives by each function, for SignRequest.Digests and
// VerifyOptions.Digests: a detached content of any size is signed and verified
// without being in memory. SignedData.Digests names the functions that a verifier
// needs.
func Digest(r io.Reader, functions ...crypto.Hash) (map[crypto.Hash][]byte, error) {
	states := make([]io.Writer, len(functions))
	for i, f := range functions {
		if DigestName(f) == "" || !f.Available() {
			return nil, unsupported("digest %d", f)
		}
		if err := approvedDigest(f); err != nil {
			return nil, err
		}
		states[i] = f.New()
	}
	if _, err := io.Copy(io.MultiWriter(states...), r); err != nil {
		return nil, err
	}
	digests := make(map[crypto.Hash][]byte, len(functions))
	for i, f := range functions {
		digests[f] = states[i].(interface{ Sum([]byte) []byte }).Sum(nil)
	}
	return digests, nil
}
