package history

import (
	"context"
	"fmt"
	"slices"
)

// AnyHidSubject reports whether one of the rows has one of the Message-IDs, and hid its subject.
// It reads nothing else of them.
func AnyHidSubject(rows []Row, messageIDs []string) bool {
	for i := range rows {
		if rows[i].hidSubject(messageIDs) {
			return true
		}
	}
	return false
}

func (r *Row) hidSubject(messageIDs []string) bool {
	return r.HiddenSubject && slices.ContainsFunc(messageIDs, r.hasMessageID)
}

// hasMessageID reports whether a Message-ID is the one outside of the encryption, or inside.
func (r *Row) hasMessageID(id string) bool {
	id = text(bare(id))
	return id != "" && (id == text(bare(r.MessageID)) || id == text(bare(r.ProtectedID)))
}

// HidSubject reports whether the subject of one of the messages with these Message-IDs was
// hidden, as far back as the history goes.
func (s *Store) HidSubject(ctx context.Context, messageIDs []string) (bool, error) {
	for _, id := range messageIDs {
		if hid, err := s.hidSubject(ctx, text(bare(id))); hid || err != nil {
			return hid, err
		}
	}
	return false, nil
}

// hiddenIn finds a row that hid its subject among all with a Message-ID, which other messages
// may have as well. The quotes around a key of JSON are in no text of a peer: there they are
// escaped.
const hiddenIn = `SELECT EXISTS (SELECT 1 FROM smimerelay_history
	WHERE message_id_ref = $1 AND message_id = $2 AND data LIKE '%"hidden_subject":true%')
	OR EXISTS (SELECT 1 FROM smimerelay_history
	WHERE protected_id_ref = $1 AND protected_id = $2 AND data LIKE '%"hidden_subject":true%')`

func (s *Store) hidSubject(ctx context.Context, messageID string) (hid bool, err error) {
	err = periods(ctx, s.read, byMessageID(messageID), always, func(h hit) (bool, error) {
		err := s.read.QueryRowContext(ctx, hiddenIn, refIn(h.period, messageID), messageID).Scan(&hid)
		return hid, err
	})
	if err != nil {
		return false, fmt.Errorf("history: %w", err)
	}
	return hid, nil
}

// HidSubject is Store.HidSubject, with the rows that wait to be written. At the start it waits
// until the store is open, or cannot be, for as long as ctx lasts; a store that is not open later
// is an error at once.
func (w *Writer) HidSubject(ctx context.Context, messageIDs []string) (bool, error) {
	if w.waitingHid(messageIDs) { // before the store: rows move from here to there
		return true, nil
	}
	select {
	case <-w.tried:
	case <-ctx.Done():
		return false, fmt.Errorf("%w: %w", errNotOpen, ctx.Err())
	}
	s := w.current()
	if s == nil {
		return false, errNotOpen
	}
	return s.HidSubject(ctx, messageIDs)
}

// waitingHid is AnyHidSubject of the rows that are not in the store yet.
func (w *Writer) waitingHid(messageIDs []string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rows.hid(messageIDs) || slices.ContainsFunc(w.writing, func(r *Row) bool { return r.hidSubject(messageIDs) })
}
