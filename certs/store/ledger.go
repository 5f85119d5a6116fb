package store

import (
	"bytes"
	"context"
	"crypto/x509"
	"database/sql"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/smimerelay/smimerelay/certs"
)

// The ledger of our own authorities: what each issued and revoked. An issuer is
// the DER of the authority's subject.

// Issued notes a certificate that the built-in CA issues. The same serial
// number of the same issuer a second time is an error. That of a mailbox is kept with the
// note: a process that dies before it can hand it out does not need another one.
func (s *Store) Issued(ctx context.Context, cert *x509.Certificate) error {
	return s.ledger(ctx, func(c *change) error { return s.issued(ctx, c, cert) })
}

// AlreadyIssued is the error of IssuedOnce: there is a certificate of the key already.
type AlreadyIssued struct{ Certificate *x509.Certificate }

// Error implements error.
func (*AlreadyIssued) Error() string { return "a certificate of this key was issued already" }

// IssuedOnce is Issued, unless the same authority issued a certificate that serves in place of
// this one: then the error is AlreadyIssued. Of several processes that certify a key at the same
// time, all but one get it.
func (s *Store) IssuedOnce(ctx context.Context, cert, replaced *x509.Certificate) error {
	return s.ledger(ctx, func(c *change) error {
		rows, err := c.QueryContext(ctx, `SELECT c.der FROM store_certificate c JOIN store_ledger l ON l.issuer = c.issuer AND l.serial = c.serial
			WHERE c.key_id = $1 AND c.issuer = $2 AND l.revoked_at = 0 ORDER BY c.not_before DESC, c.not_after DESC, c.fingerprint`, cert.SubjectKeyId, issuerKey(cert.RawIssuer))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var der []byte
			if err := rows.Scan(&der); err != nil {
				return err
			}
			earlier, err := parse(der)
			if err == nil && s.serves(earlier, cert, replaced) {
				err = &AlreadyIssued{earlier}
			}
			if err != nil {
				return err
			}
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return err
		}
		return s.issued(ctx, c, cert)
	})
}

// serves reports whether a certificate that was issued before makes another one needless: it is
// of the same key, names and use, is still valid, and is not the one that is to be replaced, or
// one before that.
func (s *Store) serves(earlier, cert, replaced *x509.Certificate) bool {
	return bytes.Equal(earlier.RawSubjectPublicKeyInfo, cert.RawSubjectPublicKeyInfo) && earlier.KeyUsage == cert.KeyUsage &&
		slices.EqualFunc(certs.Addresses(earlier), certs.Addresses(cert), s.Same) && s.cfg.Clock().Before(earlier.NotAfter) &&
		(replaced == nil || !earlier.Equal(replaced) && !earlier.NotBefore.Before(replaced.NotBefore))
}

// issued is Issued within a change.
func (s *Store) issued(ctx context.Context, c *change, cert *x509.Certificate) error {
	result, err := c.ExecContext(ctx, `INSERT INTO store_ledger (issuer, serial, not_after, issued_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`,
		issuerKey(cert.RawIssuer), serialText(cert.SerialNumber), cert.NotAfter.Unix(), s.now())
	if err := one(result, err); errors.Is(err, ErrNotFound) {
		return fmt.Errorf("a certificate with the serial number %s has been issued before", serialText(cert.SerialNumber))
	} else if err != nil {
		return err
	}
	if cert.IsCA {
		return nil // it is stored with its key, as what it is
	}
	it, err := prepare(New{Certificate: cert})
	if err != nil {
		return err
	}
	var stored Stored
	return s.putOne(ctx, c, Issued, &it, &stored)
}

// ledger is change with errors that say where they come from.
func (s *Store) ledger(ctx context.Context, fn func(*change) error) error {
	if err := s.change(ctx, fn); err != nil {
		return failed(err)
	}
	return nil
}

// IssuedSince returns how many certificates an authority issued at a time or later.
func (s *Store) IssuedSince(ctx context.Context, issuer []byte, at time.Time) (n int, err error) {
	err = s.read.QueryRowContext(ctx, `SELECT COUNT(*) FROM store_ledger WHERE issuer = $1 AND issued_at >= $2`,
		issuerKey(issuer), at.Unix()).Scan(&n)
	if err != nil {
		return 0, failed(err)
	}
	return n, nil
}

// Revoke notes a revocation. ErrNotFound: the authority never issued it. One that
// is revoked keeps its first date and reason.
func (s *Store) Revoke(ctx context.Context, issuer []byte, serial *big.Int, at time.Time, reason int) error {
	return s.ledger(ctx, func(c *change) error {
		var revoked int64
		err := c.QueryRowContext(ctx, `SELECT revoked_at FROM store_ledger WHERE issuer = $1 AND serial = $2`,
			issuerKey(issuer), serialText(serial)).Scan(&revoked)
		if errors.Is(err, sql.ErrNoRows) {
			return ErrNotFound
		}
		if err != nil || revoked != 0 {
			return err
		}
		c.certificates, c.trust = true, true
		if _, err := c.ExecContext(ctx, `UPDATE store_certificate SET generation = $1 WHERE issuer = $2 AND serial = $3`,
			c.generation, issuerKey(issuer), serialText(serial)); err != nil {
			return err
		}
		if _, err = c.ExecContext(ctx, `UPDATE store_ledger SET revoked_at = $1, reason = $2 WHERE issuer = $3 AND serial = $4`,
			at.Unix(), reason, issuerKey(issuer), serialText(serial)); err != nil {
			return err
		}
		return s.recordRevoked(ctx, c, issuer, serial)
	})
}

// Status returns what the ledger has of one certificate; revokedAt is zero for one that is
// not revoked.
func (s *Store) Status(ctx context.Context, issuer []byte, serial *big.Int) (known bool, revokedAt time.Time, reason int, err error) {
	var at int64
	err = s.read.QueryRowContext(ctx, `SELECT revoked_at, reason FROM store_ledger WHERE issuer = $1 AND serial = $2`,
		issuerKey(issuer), serialText(serial)).Scan(&at, &reason)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return false, time.Time{}, 0, nil
	case err != nil:
		return false, time.Time{}, 0, failed(err)
	case at == 0:
		return true, time.Time{}, 0, nil
	}
	return true, moment(at), reason, nil
}

// Revoked returns what an authority revoked of the certificates that end after a
// time, for its revocation list.
func (s *Store) Revoked(ctx context.Context, issuer []byte, endsAfter time.Time) ([]x509.RevocationListEntry, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT serial, revoked_at, reason FROM store_ledger
		WHERE issuer = $1 AND revoked_at <> 0 AND not_after > $2 ORDER BY revoked_at, serial`, issuerKey(issuer), endsAfter.Unix())
	if err != nil {
		return nil, failed(err)
	}
	defer rows.Close()
	var all []x509.RevocationListEntry
	for rows.Next() {
		var serial string
		var at int64
		var e x509.RevocationListEntry
		if err := rows.Scan(&serial, &at, &e.ReasonCode); err != nil {
			return nil, failed(err)
		}
		n, ok := new(big.Int).SetString(serial, 16)
		if !ok {
			return nil, fmt.Errorf("store: the serial number %q in the ledger is damaged", serial)
		}
		e.SerialNumber, e.RevocationTime = n, moment(at)
		all = append(all, e)
	}
	if err := rows.Err(); err != nil {
		return nil, failed(err)
	}
	return all, nil
}

// NextCRLNumber returns a number for a revocation list (RFC 5280 section 5.2.3) of
// an authority, greater than all before.
func (s *Store) NextCRLNumber(ctx context.Context, issuer []byte) (n int64, err error) {
	err = s.ledger(ctx, func(c *change) error {
		return c.QueryRowContext(ctx, `INSERT INTO store_authority (issuer, next) VALUES ($1, 1)
			ON CONFLICT (issuer) DO UPDATE SET next = store_authority.next + 1 RETURNING next`, issuerKey(issuer)).Scan(&n)
	})
	return n, err
}

// KeepCRL keeps the revocation list of an authority, unless one with a greater
// number is kept.
func (s *Store) KeepCRL(ctx context.Context, issuer []byte, number int64, der []byte) error {
	return s.ledger(ctx, func(c *change) error {
		result, err := c.ExecContext(ctx, `INSERT INTO store_authority (issuer, next, crl_number, crl) VALUES ($1, $2, $2, $3)
			ON CONFLICT (issuer) DO UPDATE SET crl_number = excluded.crl_number, crl = excluded.crl
			WHERE store_authority.crl_number < excluded.crl_number`, issuerKey(issuer), number, der)
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		c.trust = n > 0
		return err
	})
}

// CRL returns the revocation list that is kept for an authority, nil if none is.
func (s *Store) CRL(ctx context.Context, issuer []byte) (der []byte, err error) {
	err = s.read.QueryRowContext(ctx, `SELECT crl FROM store_authority WHERE issuer = $1`, issuerKey(issuer)).Scan(&der)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, failed(err)
	}
	return der, nil
}
