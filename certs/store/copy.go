package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/smimerelay/smimerelay/internal/postgresdb"
)

// Copied is how many rows of one kind Copy has added.
type Copied struct {
	What  string `json:"what"`
	Added int64  `json:"added"`
}

// tables are all tables but those of the counters and of goose, in an order in which
// those that others refer to come first.
var tables = []struct{ name, what, key, update string }{
	{"store_setting", "settings", "name", ""},
	// A block, an allowance and a revocation are never lost by a second copy.
	{"store_certificate", "certificates", "fingerprint", ` UPDATE SET mark = excluded.mark, note = excluded.note, mark_until = excluded.mark_until
		WHERE store_certificate.mark = '' AND excluded.mark <> '' OR store_certificate.mark = 'allowed' AND excluded.mark = 'blocked'`},
	{"store_address", "addresses of certificates", "address, fingerprint", ""},
	{"store_key", "private keys", "fingerprint", ""},
	{"store_intermediate", "intermediate certificates", "fingerprint", ""},
	{"store_chain", "chains", "fingerprint, position", ""},
	{"store_ledger", "issued certificates", "issuer, serial", ` UPDATE SET revoked_at = excluded.revoked_at, reason = excluded.reason
		WHERE store_ledger.revoked_at = 0 AND excluded.revoked_at <> 0`},
	// A number that was given out must not be given out again.
	{"store_authority", "authorities", "issuer", ` UPDATE SET next = excluded.next, crl_number = excluded.crl_number, crl = excluded.crl
		WHERE excluded.next > store_authority.next OR excluded.crl_number > store_authority.crl_number`},
	{"store_warned", "expiry warnings", "fingerprint, threshold", ""},
	// The later change of an order is what became of it.
	{"store_order", "orders", "id", ` UPDATE SET state = excluded.state, sealed = excluded.sealed, reference = excluded.reference,
		certificates = excluded.certificates, attempts = excluded.attempts, next_at = excluded.next_at, changed_at = excluded.changed_at,
		problem = excluded.problem WHERE excluded.changed_at > store_order.changed_at`},
	{"store_invitation", "invitations", "digest", ` UPDATE SET used_for = excluded.used_for WHERE store_invitation.used_for IS NULL`},
	// What was answered must not be answered again.
	{"store_challenge", "challenges", "order_id, challenge, token", ` UPDATE SET replied_at = excluded.replied_at
		WHERE store_challenge.replied_at = 0 AND excluded.replied_at <> 0`},
	{"store_published", "published values", "target, object, digest", ""},
	{"store_action", "records of who did what", "fingerprint, at, action, actor", ""},
	{"store_file", "imported files", "digest, fingerprint", ""},
}

// booleans are the columns that SQLite reads as numbers and PostgreSQL wants as what they
// are.
var booleans = map[string]bool{"pinned": true, "has_key": true, "done": true}

var errNoKeyFile = errors.New("it has private keys, and there is no key file to compare with theirs; restore the file of store.key_file, or set it")

// copyBatch is how many rows share a transaction.
const copyBatch = 500

// Copy adds to another store all that is in s and not yet there. What is there stays as it
// is, but for blocks, allowances and revocations that only s has. Private keys are copied as
// they are sealed: both stores must have been opened with the same key. Interrupted, it can
// be run again.
//
// All is copied as it is at one moment, also while others change s.
func (s *Store) Copy(ctx context.Context, to *Store) ([]Copied, error) {
	for _, one := range []*Store{s, to} {
		if err := one.keyIsKnown(ctx); err != nil {
			return nil, err
		}
	}
	o := &sql.TxOptions{ReadOnly: true}
	if postgresdb.Is(s.cfg.URL) {
		o.Isolation = sql.LevelRepeatableRead
	}
	from, err := s.read.BeginTx(ctx, o)
	if err != nil {
		return nil, err
	}
	defer from.Rollback()
	var all []Copied
	for _, t := range tables {
		n, err := copyTable(ctx, from, to, t.name, t.key, t.update)
		if err != nil {
			return all, fmt.Errorf("%s: %w", t.what, err)
		}
		all = append(all, Copied{t.what, n})
	}
	return all, copyCounters(ctx, from, to)
}

// keyIsKnown returns an error if a store has private keys, and was opened without the key
// that they are sealed with: then it is not known whether two stores have the same.
func (s *Store) keyIsKnown(ctx context.Context) error {
	if s.sealer != nil {
		return nil // Open has compared it
	}
	var sealed bool
	err := s.read.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM store_setting WHERE name = $1) OR EXISTS (SELECT 1 FROM store_key)`,
		settingCheck).Scan(&sealed)
	if err == nil && sealed {
		err = &failure{fmt.Sprintf("store %q", postgresdb.Label(s.cfg.URL)), errNoKeyFile}
	}
	return err
}

// copyTable copies the rows of a table.
func copyTable(ctx context.Context, from *sql.Tx, to *Store, table, key, update string) (added int64, err error) {
	rows, err := from.QueryContext(ctx, `SELECT * FROM `+table+` ORDER BY `+key)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return 0, err
	}
	if update == "" {
		update = ` NOTHING`
	}
	places := make([]string, len(names))
	for i := range names {
		places[i] = fmt.Sprintf("$%d", i+1)
	}
	insert := `INSERT INTO ` + table + ` (` + strings.Join(names, ", ") + `) VALUES (` + strings.Join(places, ", ") +
		`) ON CONFLICT (` + key + `) DO` + update
	for more := true; more; {
		var n int64
		if more, n, err = copyRows(ctx, rows, to.write, insert, names); err != nil {
			return added, err
		}
		added += n
	}
	return added, rows.Err()
}

// copyRows inserts the next rows in one transaction.
func copyRows(ctx context.Context, rows *sql.Rows, to *sql.DB, insert string, names []string) (more bool, added int64, err error) {
	tx, err := to.BeginTx(ctx, nil)
	if err != nil {
		return false, 0, err
	}
	defer tx.Rollback()
	// Who uses the other store already looks again after each part: there may be no later one. As
	// in Store.change, each writer waits for the others by the first counter.
	for _, name := range []string{counterCertificates, counterTrust} {
		if _, err := bump(ctx, tx, name, 1); err != nil {
			return false, 0, err
		}
	}
	values, into := make([]any, len(names)), make([]any, len(names))
	for i := range values {
		into[i] = &values[i]
	}
	for range copyBatch {
		if more = rows.Next(); !more {
			break
		}
		if err := rows.Scan(into...); err != nil {
			return false, added, err
		}
		for i, name := range names {
			if n, ok := values[i].(int64); ok && booleans[name] {
				values[i] = n != 0
			}
		}
		res, err := tx.ExecContext(ctx, insert, values...)
		if err != nil {
			return false, added, err
		}
		n, err := res.RowsAffected()
		if err != nil {
			return false, added, err
		}
		added += n
	}
	return more, added, tx.Commit()
}

// copyCounters has the counters grow past those that were copied: who has seen a
// generation looks again.
func copyCounters(ctx context.Context, from *sql.Tx, to *Store) error {
	for _, name := range []string{counterCertificates, counterTrust, counterKeys} {
		var value int64
		if err := from.QueryRowContext(ctx, `SELECT value FROM store_counter WHERE name = $1`, name).Scan(&value); err != nil {
			return err
		}
		_, err := to.write.ExecContext(ctx, `UPDATE store_counter SET value = CASE WHEN value < $1 THEN $1 ELSE value END + 1 WHERE name = $2`, value, name)
		if err != nil {
			return err
		}
	}
	return nil
}
