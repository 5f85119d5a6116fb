package store

import (
	"context"
	"crypto/sha256"
)

// Written are the values that an object outside has from us.
type Written struct {
	Values [][]byte
	// Done is false where it is not known which of them are there.
	Done bool
}

// Published returns what is noted as written to a target, by object.
func (s *Store) Published(ctx context.Context, target string) (map[string]Written, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT object, value, done FROM store_published WHERE target = $1 ORDER BY object, digest`, target)
	if err != nil {
		return nil, failed(err)
	}
	defer rows.Close()
	all := map[string]Written{}
	for rows.Next() {
		var object string
		var value []byte
		var done bool
		if err := rows.Scan(&object, &value, &done); err != nil {
			return nil, failed(err)
		}
		w, known := all[object]
		all[object] = Written{append(w.Values, value), done && (w.Done || !known)}
	}
	if err := rows.Err(); err != nil {
		return nil, failed(err)
	}
	return all, nil
}

// NotePublished notes values that an object of a target has from us, and that those in gone are
// not there any more. Others that are noted stay: another node may have written them.
func (s *Store) NotePublished(ctx context.Context, target, object string, w Written, gone [][]byte) error {
	err := s.change(ctx, func(c *change) error {
		for _, v := range gone {
			digest := sha256.Sum256(v)
			if _, err := c.ExecContext(ctx, `DELETE FROM store_published WHERE target = $1 AND object = $2 AND digest = $3`, target, object, digest[:]); err != nil {
				return err
			}
		}
		for _, v := range w.Values {
			digest := sha256.Sum256(v)
			if _, err := c.ExecContext(ctx, `INSERT INTO store_published (target, object, digest, value, done) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (target, object, digest) DO UPDATE SET done = excluded.done`,
				target, object, digest[:], v, w.Done); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return failed(err)
	}
	return nil
}
