package store

import (
	"context"
	"time"

	"github.com/smimerelay/smimerelay/certs/path"
	"github.com/smimerelay/smimerelay/internal/postgresdb"
)

// SetMark allows or blocks a certificate to the end of the day until, UTC, zero for ever; NoMark
// takes the mark away. Explanations repeat the note.
func (s *Store) SetMark(ctx context.Context, fingerprint [32]byte, mark Mark, note string, until time.Time) error {
	err := s.change(ctx, func(c *change) error { return s.setMark(ctx, c, fingerprint, mark, note, until) })
	if err != nil {
		return failed(err)
	}
	return nil
}

// PutMarked stores a certificate together with its mark: it is never there without.
func (s *Store) PutMarked(ctx context.Context, origin Origin, n New, mark Mark, note string, until time.Time) error {
	it, err := prepare(n)
	if err != nil {
		return failed(err)
	}
	err = s.change(ctx, func(c *change) error {
		if err := s.putOne(ctx, c, origin, &it, &Stored{}); err != nil {
			return err
		}
		return s.setMark(ctx, c, it.fingerprint, mark, note, until)
	})
	if err != nil {
		return failed(err)
	}
	return nil
}

func (s *Store) setMark(ctx context.Context, c *change, fingerprint [32]byte, mark Mark, note string, until time.Time) error {
	if mark == NoMark {
		note, until = "", time.Time{}
	}
	note = postgresdb.Text(note)
	c.certificates, c.trust = true, true
	result, err := c.ExecContext(ctx, `UPDATE store_certificate SET mark = $1, note = $2, mark_until = $3, generation = $4 WHERE fingerprint = $5`,
		string(mark), note, stamp(until), c.generation, fingerprint[:])
	if err := one(result, err); err != nil {
		return err
	}
	return s.record(ctx, c, fingerprint[:], marked[mark], note)
}

// marked are the actions that set marks.
var marked = map[Mark]ActionKind{NoMark: WasCleared, Allowed: WasAllowed, Blocked: WasBlocked}

// affected is a sql.Result.
type affected interface{ RowsAffected() (int64, error) }

// one is ErrNotFound where nothing was affected.
func one(result affected, err error) error {
	if err != nil {
		return err
	}
	n, err := result.RowsAffected()
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	return err
}

// markEnd is when a mark ends that has this last day; zero is never. Until then it is in force,
// for keys as for the validator.
func markEnd(until time.Time) time.Time {
	if until.IsZero() {
		return until
	}
	return until.AddDate(0, 0, 1)
}

// BlockedAt reports whether the certificate is blocked at a time.
func (e *Entry) BlockedAt(at time.Time) bool {
	end := markEnd(e.Until)
	return e.Mark == Blocked && (end.IsZero() || !at.After(end))
}

// lastDaySince is the earliest last day of marks that are in force at a time: the reverse of
// markEnd, for queries.
func lastDaySince(now time.Time) int64 { return now.UTC().AddDate(0, 0, -1).Unix() }

// Exceptions returns the marks for the validator, ended ones too: it knows the
// time.
func (s *Store) Exceptions(ctx context.Context) ([]path.Exception, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT fingerprint, mark, note, mark_until FROM store_certificate WHERE mark <> ''`)
	if err != nil {
		return nil, failed(err)
	}
	defer rows.Close()
	var all []path.Exception
	for rows.Next() {
		var e path.Exception
		var fingerprint []byte
		var mark Mark
		var until int64
		if err := rows.Scan(&fingerprint, &mark, &e.Note, &until); err != nil {
			return nil, failed(err)
		}
		copy(e.SHA256[:], fingerprint)
		e.Allow = mark == Allowed
		e.Until = markEnd(moment(until))
		all = append(all, e)
	}
	if err := rows.Err(); err != nil {
		return nil, failed(err)
	}
	return all, nil
}

// Pin makes an identity sign for its addresses even where a newer one could, and
// takes that from those pinned that share an address with it; or unpins it.
func (s *Store) Pin(ctx context.Context, fingerprint [32]byte, pinned bool) error {
	err := s.change(ctx, func(c *change) error {
		k, err := known(ctx, c, fingerprint[:])
		switch {
		case err != nil:
			return err
		case k == nil:
			return ErrNotFound
		case !k.hasKey:
			return ErrNoKey
		}
		c.certificates = true
		if pinned {
			if _, err := c.ExecContext(ctx, `UPDATE store_certificate SET pinned = FALSE, generation = $1 WHERE pinned AND fingerprint IN
				(SELECT b.fingerprint FROM store_address a JOIN store_address b ON b.address = a.address WHERE a.fingerprint = $2)`,
				c.generation, fingerprint[:]); err != nil {
				return err
			}
		}
		if _, err = c.ExecContext(ctx, `UPDATE store_certificate SET pinned = $1, generation = $2 WHERE fingerprint = $3`, pinned, c.generation, fingerprint[:]); err != nil {
			return err
		}
		what := WasUnpinned
		if pinned {
			what = WasPinned
		}
		return s.record(ctx, c, fingerprint[:], what, "")
	})
	if err != nil {
		return failed(err)
	}
	return nil
}
