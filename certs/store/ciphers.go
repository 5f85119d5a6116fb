package store

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"

	"github.com/smimerelay/smimerelay/smime/cms"
)

// Ciphers returns, by fingerprint, what the owners of those certificates are known
// to read; who is not in it, nothing is known of.
func (s *Store) Ciphers(ctx context.Context, fingerprints ...[sha256.Size]byte) (map[[sha256.Size]byte][]cms.Cipher, error) {
	known := make(map[[sha256.Size]byte][]cms.Cipher)
	if len(fingerprints) == 0 {
		return known, nil
	}
	args := make([]any, len(fingerprints))
	places := make([]string, len(fingerprints))
	for i := range fingerprints {
		args[i], places[i] = fingerprints[i][:], fmt.Sprintf("$%d", i+1)
	}
	rows, err := s.read.QueryContext(ctx, `SELECT fingerprint, ciphers FROM store_certificate
		WHERE ciphers <> '' AND fingerprint IN (`+strings.Join(places, ",")+`)`, args...)
	if err != nil {
		return nil, failed(err)
	}
	defer rows.Close()
	for rows.Next() {
		var fingerprint []byte
		var ciphers string
		if err := rows.Scan(&fingerprint, &ciphers); err != nil {
			return nil, failed(err)
		}
		known[[sha256.Size]byte(fingerprint)] = splitCiphers(ciphers)
	}
	return known, rows.Err()
}
