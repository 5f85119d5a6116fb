package access

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Copied is how much of each kind was copied.
type Copied struct {
	Accounts int `json:"accounts"`
	Tokens   int `json:"tokens"`
	Entries  int `json:"entries"` // of the audit log
}

// ErrNotEmpty is a store that has accounts, or entries of them in its audit log.
var ErrNotEmpty = errors.New("there are accounts of the console, or entries of them in its audit log, already")

// copied are the tables that Copy copies, those that others refer to first. Sessions, links, known
// browsers and failed attempts are of a moment.
var copied = []struct {
	table   string
	columns []string
	count   func(*Copied) *int
}{
	{"console_user", []string{"name", "role", "password", "totp", "totp_step", "created", "issuer", "subject"}, func(c *Copied) *int { return &c.Accounts }},
	{"console_token", []string{"digest", "label", "owner", "role", "created", "expires"}, func(c *Copied) *int { return &c.Tokens }},
	{"console_audit", []string{"id", "digest", "entry"}, func(c *Copied) *int { return &c.Entries }},
}

// Copy copies accounts, tokens and audit log, as they are at one moment, to a store that has none:
// all or nothing. What commands on the host have done there before, such as an attempt that
// failed, stands behind what is copied.
func (s *Store) Copy(ctx context.Context, to *Store) (c Copied, err error) {
	from, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return c, err
	}
	defer from.Rollback() //nolint:errcheck // it only reads
	if s.cfg.URL != "" {  // a transaction of SQLite sees one moment anyway
		if _, err := from.ExecContext(ctx, `SET TRANSACTION ISOLATION LEVEL REPEATABLE READ`); err != nil {
			return c, err
		}
	}
	err = to.change(ctx, func(tx *txn) error {
		own, err := tx.takeHostEntries(ctx)
		if err != nil {
			return err
		}
		for _, t := range copied {
			n, err := copyTable(ctx, from, tx.Tx, t.table, t.columns)
			if err != nil {
				return fmt.Errorf("%s: %w", t.table, err)
			}
			*t.count(&c) = n
		}
		var last AuditPoint
		if err := from.QueryRowContext(ctx, `SELECT id, digest FROM console_audit_last`).Scan(&last.ID, &last.Digest); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE console_audit_last SET id = $1, digest = $2`, last.ID, last.Digest); err != nil {
			return err
		}
		for _, e := range own {
			if err := tx.addEntry(ctx, &e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return Copied{}, err
	}
	return c, nil
}

// takeHostEntries takes out the audit log of a store that commands on the host alone have used;
// ErrNotEmpty is any other. It waits for those who add to the log.
func (t *txn) takeHostEntries(ctx context.Context) (own []Entry, err error) {
	var accounts int64
	if _, err := t.ExecContext(ctx, `UPDATE console_audit_last SET id = id`); err != nil {
		return nil, err
	}
	if err := t.QueryRowContext(ctx, `SELECT count(*) FROM console_user`).Scan(&accounts); err != nil {
		return nil, err
	}
	if accounts > 0 {
		return nil, ErrNotEmpty
	}
	if own, err = readEntries(t.QueryContext(ctx, `SELECT entry FROM console_audit ORDER BY id`)); err != nil {
		return nil, err
	}
	if slices.ContainsFunc(own, func(e Entry) bool { return e.Actor.Via != ViaHost }) {
		return nil, ErrNotEmpty
	}
	_, err = t.ExecContext(ctx, `DELETE FROM console_audit`)
	return own, err
}

// copyTable copies the rows of a table.
func copyTable(ctx context.Context, from, to *sql.Tx, table string, columns []string) (n int, err error) {
	places := make([]string, len(columns))
	for i := range columns {
		places[i] = fmt.Sprintf("$%d", i+1)
	}
	names := strings.Join(columns, ", ")
	insert, err := to.PrepareContext(ctx, `INSERT INTO `+table+` (`+names+`) VALUES (`+strings.Join(places, ", ")+`)`)
	if err != nil {
		return 0, err
	}
	defer insert.Close()
	rows, err := from.QueryContext(ctx, `SELECT `+names+` FROM `+table)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	values, targets := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		targets[i] = &values[i]
	}
	for ; rows.Next(); n++ {
		if err := rows.Scan(targets...); err != nil {
			return n, err
		}
		if _, err := insert.ExecContext(ctx, values...); err != nil {
			return n, err
		}
	}
	return n, rows.Err()
}
