package store

import (
	"context"
	"database/sql"
	"errors"
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

// change runs fn in a transaction and counts. Whoever changes anything waits for
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
	n, err := s.counter(ctx, counterCertificates)
	if err == nil {
		s.notice(n)
	}
	return n, err
}

// Latest is the greatest generation that this process knows: it made it, or saw
// it by Generation.
func (s *Store) Latest() int64 { return s.latest.Load() }

// TrustGeneration is a number that grows when marks, authorities of our own, or
// their revocations change: what path validation depends on.
func (s *Store) TrustGeneration(ctx context.Context) (int64, error) {
	return s.counter(ctx, counterTrust)
}

func (s *Store) counter(ctx context.Context, name string) (n int64, err error) {
	err = s.read.QueryRowContext(ctx, `SELECT value FROM store_counter WHERE name = $1`, name).Scan(&n)
	return n, err
}
