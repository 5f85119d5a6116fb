package store

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/smimerelay/smimerelay/smime/address"
)

// invitationsKept is how long expired invitations stay.
const invitationsKept = 30 * 24 * time.Hour

// PutInvitation notes that the holder of a secret may have one key certified for an address,
// until a time. The secret itself is not stored: it must be long and random.
func (s *Store) PutInvitation(ctx context.Context, secret string, a address.Address, until time.Time) error {
	key, ok := s.mailboxKey(a)
	if !ok {
		return failed(fmt.Errorf("address %q: no certificate can be issued for it", a))
	}
	if _, err := s.write.ExecContext(ctx, `DELETE FROM store_invitation WHERE expires_at < $1`, s.now()-int64(invitationsKept/time.Second)); err != nil {
		return failed(err)
	}
	digest := sha256.Sum256([]byte(secret))
	if _, err := s.write.ExecContext(ctx, `INSERT INTO store_invitation (digest, address, expires_at) VALUES ($1, $2, $3)`,
		digest[:], key, until.Unix()); err != nil {
		return failed(err)
	}
	return nil
}

// RedeemInvitation uses a secret up for one key, named by the SHA-256 of its
// SubjectPublicKeyInfo. It reports false where the secret is not one for the address, has
// expired, or was used for another key.
func (s *Store) RedeemInvitation(ctx context.Context, secret string, a address.Address, keyDigest [sha256.Size]byte) (bool, error) {
	key, _ := s.mailboxKey(a)
	digest := sha256.Sum256([]byte(secret))
	result, err := s.write.ExecContext(ctx, `UPDATE store_invitation SET used_for = $1
		WHERE digest = $2 AND address = $3 AND expires_at > $4 AND (used_for IS NULL OR used_for = $1)`, keyDigest[:], digest[:], key, s.now())
	if err != nil {
		return false, failed(err)
	}
	n, err := result.RowsAffected()
	return n == 1, err
}
