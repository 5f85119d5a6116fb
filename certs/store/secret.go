package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
)

// secretSize is the length of a secret in octets.
const secretSize = 32

// forSecret is what a sealed secret is for; its name is bound to it.
const forSecret = "smimerelay secret\x00" //nolint:gosec // G101: a label, no secret

// unsealed begins a secret that was made while the store had no key file. It stays
// so: nodes that get the file later must all go on with the secret.
const unsealed = 0

// Secret returns the secret of a name, the same for all who use the store. The
// first to ask makes it.
func (s *Store) Secret(ctx context.Context, name string) ([]byte, error) {
	kept, err := s.readSecret(ctx, s.read, name)
	if err != nil || kept != nil {
		return kept, err
	}
	fresh := make([]byte, secretSize)
	rand.Read(fresh) // never fails
	value := append([]byte{unsealed}, fresh...)
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer tx.Rollback()
	if s.sealer != nil {
		// It may be the first thing that is sealed with this key.
		if err := s.sealer.keepCheck(ctx, tx); err != nil {
			return nil, err
		}
		value = s.sealer.seal(fresh, forSecret, []byte(name))
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO store_setting (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING`,
		secretName(name), value); err != nil {
		return nil, err
	}
	// Another process may have been faster.
	if kept, err = s.readSecret(ctx, tx, name); err != nil {
		return nil, err
	}
	return kept, tx.Commit()
}

func secretName(name string) string { return "secret-" + name }

// readSecret returns a secret, nil if there is none yet.
func (s *Store) readSecret(ctx context.Context, from interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
}, name string) ([]byte, error) {
	var value []byte
	err := from.QueryRowContext(ctx, `SELECT value FROM store_setting WHERE name = $1`, secretName(name)).Scan(&value)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, nil
	case err != nil:
		return nil, err
	case len(value) == 1+secretSize && value[0] == unsealed:
		return value[1:], nil
	case s.sealer == nil:
		return nil, fmt.Errorf("secret %q: it is encrypted and there is no key file; set store.key_file", name)
	}
	return s.sealer.open(value, forSecret, []byte(name))
}
