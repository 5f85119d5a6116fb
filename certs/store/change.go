package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/smimerelay/smimerelay/smime/address"
)

// The counters.
const (
	counterCertificates = "certificates" // every change of certificates
	counterTrust        = "trust"        // changes of marks, authorities, revocations
	counterKeys         = "keys"         // private keys that were removed
)

// change is a transaction that changes the store.
type change struct {
	*sql.Tx
	// generation is the one that it makes.
	generation int64
	// What fn sets: whether certificates, trust, or the keys changed.
	certificates, trust, keys bool
}

// change runs fn in a transaction and counts. Each writer waits for
// the others by the row of the first counter: so there are no deadlocks, and who
// sees a generation sees all that led to it.
func (s *Store) change(ctx context.Context, fn func(*change) error) (err error) {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			if e := tx.Rollback(); e != nil && !errors.Is(e, sql.ErrTxDone) {
				err = errors.Join(err, e)
			}
		}
	}()
	c := &change{Tx: tx}
	if c.generation, err = bump(ctx, tx, counterCertificates, 1); err != nil {
		return err
	}
	if err := fn(c); err != nil {
		return err
	}
	if !c.certificates {
		if _, err := bump(ctx, tx, counterCertificates, -1); err != nil {
			return err
		}
	}
	for name, changed := range map[string]bool{counterTrust: c.trust, counterKeys: c.keys} {
		if !changed {
			continue
		}
		if _, err := bump(ctx, tx, name, 1); err != nil {
			return err
		}
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	if c.certificates {
		s.notice(c.generation)
	}
	return nil
}

// notice remembers a generation, unless a later one is known.
func (s *Store) notice(generation int64) {
	for {
		old := s.latest.Load()
		if generation <= old || s.latest.CompareAndSwap(old, generation) {
			return
		}
	}
}

func bump(ctx context.Context, tx *sql.Tx, name string, by int) (n int64, err error) {
	err = tx.QueryRowContext(ctx, `UPDATE store_counter SET value = value + $1 WHERE name = $2 RETURNING value`, by, name).Scan(&n)
	return n, err
}

// Generation is a number that grows with every change of certificates.
func (s *Store) Generation(ctx context.Context) (int64, error) {
	certificates, _, err := s.counters(ctx)
	return certificates, err
}

// Latest is the greatest generation that this process knows: it made it, or saw
// it by Generation or TrustGeneration.
func (s *Store) Latest() int64 { return s.latest.Load() }

// TrustGeneration is a number that grows when marks, authorities of our own, or
// their revocations change: what path validation depends on.
func (s *Store) TrustGeneration(ctx context.Context) (int64, error) {
	_, trust, err := s.counters(ctx)
	return trust, err
}

func (s *Store) counters(ctx context.Context) (certificates, trust int64, err error) {
	err = s.read.QueryRowContext(ctx, `SELECT a.value, b.value FROM store_counter a, store_counter b WHERE a.name = $1 AND b.name = $2`,
		counterCertificates, counterTrust).Scan(&certificates, &trust)
	if err != nil {
		return 0, 0, failed(err)
	}
	s.notice(certificates)
	return certificates, trust, nil
}

// AddressVersion is a number that changes when the certificates that name an
// address do.
func (s *Store) AddressVersion(ctx context.Context, addr address.Address) (uint64, error) {
	key, _ := addressKey(addr)
	// A change makes a generation above all others: as long as there are as
	// many, the sum grows.
	var n, sum int64
	err := s.read.QueryRowContext(ctx, `SELECT COUNT(*), CAST(COALESCE(SUM(c.generation), 0) AS BIGINT)
		FROM store_address a JOIN store_certificate c ON c.fingerprint = a.fingerprint WHERE a.address = $1`, key).Scan(&n, &sum)
	if err != nil {
		return 0, failed(err)
	}
	return uint64(sum)<<16 + uint64(n)&0xffff, nil
}
