package access

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// Actor is who changes something.
type Actor struct {
	Name string `json:"name"`
	// Role is the one that allowed it; "" on the command line, where the system does.
	Role Role `json:"role,omitempty"`
	// From is the address of the client, and Via what it used: console, api, link or
	// command line.
	From string `json:"from,omitempty"`
	Via  string `json:"via"`
}

// Entry is one line of the audit log.
type Entry struct {
	ID    int64     `json:"id"`
	Time  time.Time `json:"time"`
	Actor Actor     `json:"actor"`
	// Action is what was done, such as held.release, and Object to what.
	Action string `json:"action"`
	Object string `json:"object"`
	// Reason is what the actor gave as one.
	Reason string `json:"reason,omitempty"`
	// Before and After are what changed, as it is written.
	Before map[string]any `json:"before,omitempty"`
	After  map[string]any `json:"after,omitempty"`
	// Failed is why it was not done after all; it refers to the entry before.
	Failed string `json:"failed,omitempty"`
}

// Record adds an entry: before the change that it is about, so that none is missing.
func (s *Store) Record(ctx context.Context, e Entry) error {
	return s.change(ctx, func(tx *txn) error { return s.record(ctx, tx, e) })
}

// record adds an entry in a transaction. Its digest covers that of the entry before.
func (s *Store) record(ctx context.Context, tx *txn, e Entry) error {
	var last string
	err := tx.QueryRowContext(ctx, `UPDATE console_audit_last SET id = id + 1 RETURNING id, digest`).Scan(&e.ID, &last)
	if err != nil {
		return err
	}
	e.Time = s.cfg.Clock().UTC()
	text, err := json.Marshal(e)
	if err != nil {
		return err
	}
	sum := digest(last + string(text))
	if _, err := tx.ExecContext(ctx, `INSERT INTO console_audit (id, digest, entry) VALUES ($1, $2, $3)`, e.ID, sum, string(text)); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `UPDATE console_audit_last SET digest = $1`, sum)
	tx.recorded = append(tx.recorded, e)
	return err
}

// logEntry writes an entry to the log of the gateway.
func (s *Store) logEntry(e Entry) {
	log := s.cfg.Log.With("audit", e.ID, "actor", e.Actor.Name, "role", string(e.Actor.Role), "client", e.Actor.From,
		"via", e.Actor.Via, "action", e.Action, "object", e.Object)
	if e.Failed != "" {
		log.Warn("administrator's change failed", "error", e.Failed)
		return
	}
	log.Info("administrator's change")
}

// maxAudit is the most entries that Audit returns at once.
const maxAudit = 1000

// Audit returns up to limit entries, the latest first, with numbers below before; 0 is
// from the latest on.
func (s *Store) Audit(ctx context.Context, before int64, limit int) ([]Entry, error) {
	limit = min(max(limit, 1), maxAudit)
	rows, err := s.db.QueryContext(ctx, `SELECT entry FROM console_audit WHERE id < $1 OR $1 = 0 ORDER BY id DESC LIMIT $2`, before, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	list := []Entry{}
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		var e Entry
		if err := json.Unmarshal([]byte(text), &e); err != nil {
			return nil, fmt.Errorf("audit log: %w", err)
		}
		list = append(list, e)
	}
	return list, rows.Err()
}

// VerifyAudit returns the number of the first entry that is missing or was changed after it
// was written; 0 if none was.
func (s *Store) VerifyAudit(ctx context.Context) (broken int64, err error) {
	// The last entry is read first: what is added meanwhile is not looked at.
	var last int64
	var end string
	if err := s.db.QueryRowContext(ctx, `SELECT id, digest FROM console_audit_last`).Scan(&last, &end); err != nil {
		return 0, err
	}
	rows, err := s.db.QueryContext(ctx, `SELECT id, digest, entry FROM console_audit WHERE id <= $1 ORDER BY id`, last)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	next, before := int64(1), ""
	for rows.Next() {
		var id int64
		var sum, text string
		if err := rows.Scan(&id, &sum, &text); err != nil {
			return 0, err
		}
		if id != next || sum != digest(before+text) {
			return next, nil
		}
		next, before = next+1, sum
	}
	if err := rows.Err(); err != nil {
		return 0, err
	}
	if next != last+1 || before != end {
		return next, nil
	}
	return 0, nil
}
