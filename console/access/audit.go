package access

import (
	"context"
	"database/sql"
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
	// ViaHost.
	From string `json:"from,omitempty"`
	Via  string `json:"via"`
}

// ViaHost is the command line of the gateway's host.
const ViaHost = "command line"

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

// record adds an entry in a transaction.
func (s *Store) record(ctx context.Context, tx *txn, e Entry) error {
	e.Time = s.cfg.Clock().UTC()
	if err := tx.addEntry(ctx, &e); err != nil {
		return err
	}
	tx.recorded = append(tx.recorded, e)
	return nil
}

// addEntry gives an entry its number, and writes it. Its digest covers that of the entry before.
func (t *txn) addEntry(ctx context.Context, e *Entry) error {
	var last string
	err := t.QueryRowContext(ctx, `UPDATE console_audit_last SET id = id + 1 RETURNING id, digest`).Scan(&e.ID, &last)
	if err != nil {
		return err
	}
	text, err := json.Marshal(e)
	if err != nil {
		return err
	}
	sum := digest(last + string(text))
	if _, err := t.ExecContext(ctx, `INSERT INTO console_audit (id, digest, entry) VALUES ($1, $2, $3)`, e.ID, sum, string(text)); err != nil {
		return err
	}
	_, err = t.ExecContext(ctx, `UPDATE console_audit_last SET digest = $1`, sum)
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

// readEntries reads the entries that a query returned.
func readEntries(rows *sql.Rows, err error) ([]Entry, error) {
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

// AuditPoint is an entry of the audit log by its number and its digest, which covers all
// entries up to it. The zero AuditPoint is before the first.
type AuditPoint struct {
	ID     int64
	Digest string
}

// VerifyAudit returns the last entry, and the number of the first one that is missing or was
// changed after it was written; 0 if none was. An entry that was noted elsewhere, kept, must be
// as it was then.
func (s *Store) VerifyAudit(ctx context.Context, kept AuditPoint) (last AuditPoint, broken int64, err error) {
	// The last entry is read first: what is added meanwhile is not looked at.
	if err := s.db.QueryRowContext(ctx, `SELECT id, digest FROM console_audit_last`).Scan(&last.ID, &last.Digest); err != nil {
		return last, 0, err
	}
	rows, err := s.db.QueryContext(ctx, `SELECT id, digest, entry FROM console_audit WHERE id <= $1 ORDER BY id`, last.ID)
	if err != nil {
		return last, 0, err
	}
	defer rows.Close()
	var at AuditPoint
	for rows.Next() {
		var e AuditPoint
		var text string
		if err := rows.Scan(&e.ID, &e.Digest, &text); err != nil {
			return last, 0, err
		}
		if e.ID != at.ID+1 || e.Digest != digest(at.Digest+text) || e.ID == kept.ID && e.Digest != kept.Digest {
			return last, at.ID + 1, nil
		}
		at = e
	}
	if err := rows.Err(); err != nil {
		return last, 0, err
	}
	if at != last || kept.ID > last.ID {
		return last, at.ID + 1, nil
	}
	return last, 0, nil
}
