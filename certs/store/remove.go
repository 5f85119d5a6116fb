package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/smimerelay/smimerelay/certs"
)

// Remove removes a certificate with its key. Without force it refuses with
// ErrLastKey to remove the last key in the store that decrypts mail to one of
// the certificate's addresses, and with ErrBlocked to remove a block.
func (s *Store) Remove(ctx context.Context, fingerprint [32]byte, force bool) error {
	err := s.change(ctx, func(c *change) error {
		var der []byte
		var origin Origin
		var mark Mark
		err := c.QueryRowContext(ctx, `SELECT der, origin, mark FROM store_certificate WHERE fingerprint = $1`, fingerprint[:]).Scan(&der, &origin, &mark)
		if errors.Is(err, sql.ErrNoRows) {
			return ErrNotFound
		}
		if err != nil {
			return err
		}
		if !force && mark == Blocked {
			return ErrBlocked
		}
		if !force && origin != Authority {
			if err := lastKey(ctx, c.Tx, fingerprint[:], der); err != nil {
				return err
			}
		}
		c.certificates, c.keys = true, true
		c.trust = mark != NoMark || origin == Authority
		return remove(ctx, c.Tx, fingerprint[:])
	})
	if err != nil {
		return failed(err)
	}
	s.keys.forget()
	return nil
}

// remove also removes the intermediates that nothing else came with.
func remove(ctx context.Context, tx *sql.Tx, fingerprint []byte) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM store_certificate WHERE fingerprint = $1`, fingerprint); err != nil {
		return err
	}
	return dropIntermediates(ctx, tx)
}

// execer is a database or a transaction.
type execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

func dropIntermediates(ctx context.Context, q execer) error {
	_, err := q.ExecContext(ctx, `DELETE FROM store_intermediate WHERE NOT EXISTS
		(SELECT 1 FROM store_chain l WHERE l.intermediate = store_intermediate.fingerprint)`)
	return err
}

// lastKey refuses where an address of the certificate would be left without a key
// that decrypts, if it has one now.
func lastKey(ctx context.Context, tx *sql.Tx, fingerprint, der []byte) error {
	k, err := known(ctx, tx, fingerprint)
	if err != nil || k == nil || !k.hasKey {
		return err
	}
	cert, err := parse(der)
	if err != nil {
		return nil // it decrypts nothing
	}
	if !certs.Decrypts(cert) {
		return nil
	}
	for _, a := range certs.Addresses(cert) {
		key, _ := addressKey(a)
		others, err := ders(ctx, tx, `SELECT c.der FROM store_address a JOIN store_certificate c ON c.fingerprint = a.fingerprint
			JOIN store_key k ON k.fingerprint = c.fingerprint
			WHERE a.address = $1 AND a.fingerprint <> $2 AND c.origin <> $3`, key, fingerprint, string(Authority))
		if err != nil {
			return err
		}
		if !anyDecrypts(others) {
			return ErrLastKey
		}
	}
	return nil
}

func anyDecrypts(list [][]byte) bool {
	for _, der := range list {
		if c, err := parse(der); err == nil && certs.Decrypts(c) {
			return true
		}
	}
	return false
}

// ders returns the octet strings that a query yields.
func ders(ctx context.Context, q querier, query string, args ...any) ([][]byte, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all [][]byte
	for rows.Next() {
		var der []byte
		if err := rows.Scan(&der); err != nil {
			return nil, err
		}
		all = append(all, der)
	}
	return all, rows.Err()
}
