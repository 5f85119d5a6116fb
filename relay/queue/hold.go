package queue

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime/message"
)

// storedHold is a relay.Hold without its message: the envelope with everything
// that the rules may ask of it.
type storedHold struct {
	ID         string           `json:"id"`
	QueueID    string           `json:"queue_id,omitempty"`
	MessageID  string           `json:"message_id,omitempty"`
	Listener   string           `json:"listener"`
	Sender     string           `json:"sender"`
	Params     relay.MailParams `json:"params"`
	Addr       netip.Addr       `json:"addr"`
	Helo       string           `json:"helo,omitempty"`
	TLS        bool             `json:"tls,omitempty"`
	User       string           `json:"user,omitempty"`
	Others     int              `json:"others,omitempty"`
	Since      time.Time        `json:"since"`
	Until      time.Time        `json:"until"`
	Recipients []storedHeld     `json:"recipients"`
	// Quarantined and Encrypted are those of relay.Hold.
	Quarantined bool `json:"quarantined,omitempty"`
	Encrypted   bool `json:"encrypted,omitempty"`
	// Trouble says why nothing could be decided at the last look.
	Trouble string `json:"trouble,omitempty"`
}

// storedHeld is a recipient who waits.
type storedHeld struct {
	Address      string   `json:"address"`
	Notify       []string `json:"notify,omitempty"`
	OriginalType string   `json:"original_type,omitempty"`
	Original     string   `json:"original,omitempty"`
	Reason       string   `json:"reason"`
	Unasked      bool     `json:"unasked,omitempty"` // relay.Hold.Unasked
	// Asked is asked() of one of relay.Hold.Asked, by which the hold is found, and Unreached that of
	// relay.Hold.
	Asked     string `json:"asked,omitempty"`
	Unreached string `json:"unreached,omitempty"`
}

func storeHold(h *relay.Hold) (*storedHold, error) {
	env := &h.Envelope
	if len(env.Recipients) == 0 || len(env.Recipients) != len(h.Reasons) {
		return nil, errors.New("hold without recipients or reasons")
	}
	s := &storedHold{
		ID: env.ID, QueueID: env.QueueID, MessageID: env.MessageID, Listener: env.Listener,
		Sender: env.Sender.String(), Params: env.Params,
		Addr: env.Client.Addr, Helo: env.Client.Helo, TLS: env.Client.TLS, User: env.Client.User,
		Others: env.Others, Since: h.Since, Until: h.Until, Quarantined: h.Quarantined, Encrypted: h.Encrypted,
	}
	for i, r := range env.Recipients {
		one := storedHeld{
			Address: r.Address.String(), Notify: r.Notify, OriginalType: r.OriginalType, Original: r.Original,
			Reason: h.Reasons[i], Unasked: h.IsUnasked(i), Unreached: h.WhyUnreached(i),
		}
		if h.IsAsked(i) {
			one.Asked = asked(r.Address)
		}
		s.Recipients = append(s.Recipients, one)
	}
	return s, nil
}

// hold is what was stored.
func (s *storedHold) hold(m *message.Message) (relay.Hold, error) {
	h := relay.Hold{Message: m, Since: s.Since, Until: s.Until, Quarantined: s.Quarantined, Encrypted: s.Encrypted, Envelope: relay.Envelope{
		ID: s.ID, QueueID: s.QueueID, MessageID: s.MessageID, Listener: s.Listener, Params: s.Params, Others: s.Others,
		Client: relay.Client{Addr: s.Addr, Helo: s.Helo, TLS: s.TLS, User: s.User},
	}}
	var err error
	if h.Envelope.Sender, err = parseStored(s.Sender); err != nil {
		return h, err
	}
	for i, r := range s.Recipients {
		a, err := parseStored(r.Address)
		if err != nil {
			return h, err
		}
		h.Reasons = append(h.Reasons, r.Reason)
		note(&h.Unasked, i, len(s.Recipients), r.Unasked)
		note(&h.Asked, i, len(s.Recipients), r.Asked != "")
		note(&h.Unreached, i, len(s.Recipients), r.Unreached)
		h.Envelope.Recipients = append(h.Envelope.Recipients,
			relay.Recipient{Address: a, Notify: r.Notify, OriginalType: r.OriginalType, Original: r.Original})
	}
	return h, nil
}

// note puts what is known of the recipient at an index into a list of n, which is nil where nothing
// is known of anyone.
func note[T comparable](list *[]T, i, n int, what T) {
	var nothing T
	if what == nothing {
		return
	}
	if *list == nil {
		*list = make([]T, n)
	}
	(*list)[i] = what
}

func (q *Queue) insertHold(ctx context.Context, tx *sql.Tx, h *relay.Hold) error {
	if h.Message == nil {
		return errors.New("hold without a message")
	}
	s, err := storeHold(h)
	if err != nil {
		return err
	}
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	body, err := q.insertMessage(ctx, tx, h.Message)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO smimerelay_hold (message_id, hold, until, next) VALUES ($1, $2, $3, $4)`,
		body, string(text), h.Until.UnixMilli(), q.nextLook(s))
	return err
}

// nextLook is when a hold is looked at again: after the configured time, and not
// all of them at once, but at its end at the latest. What is in quarantine waits for
// nothing but its end.
func (q *Queue) nextLook(s *storedHold) int64 {
	until := s.Until
	if s.Quarantined {
		return until.UnixMilli()
	}
	wait := q.config.Recheck
	wait += rand.N(wait/5+1) - wait/10 //nolint:gosec // G404: it spreads load, and may be guessed
	now := q.config.Clock()
	next := now.Add(wait)
	if until.After(now) && until.Before(next) {
		next = until
	}
	return next.UnixMilli()
}

// heldMessage is a hold as it is in the store.
type heldMessage struct {
	id, message int64
	text        string // of stored
	stored      storedHold
	order       relay.Order
	orderText   string
	hold        relay.Hold
}

// loadHold reads a hold; nil if it is gone. The memory for its message is of share.
func (q *Queue) loadHold(ctx context.Context, id int64, share *relay.Share) (*heldMessage, error) {
	tx, err := q.db.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer tx.Rollback()
	s := &heldMessage{id: id}
	var size int
	err = tx.QueryRowContext(ctx, `SELECT message_id, hold, job_order, `+messageSize+`
		FROM smimerelay_hold h JOIN smimerelay_message m ON m.id = h.message_id WHERE h.id = $1`, id).
		Scan(&s.message, &s.text, &s.orderText, &size)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal([]byte(s.text), &s.stored); err != nil {
		return nil, err
	}
	if s.orderText != "" {
		if err := json.Unmarshal([]byte(s.orderText), &s.order); err != nil {
			return nil, err
		}
	}
	if err := reserve(share, relay.MessageFactor*int64(size)); err != nil {
		return nil, err
	}
	m, err := readMessage(ctx, tx, s.message, size)
	if err != nil {
		return nil, err
	}
	s.hold, err = s.stored.hold(m)
	return s, err
}

// resolve stores what became of a hold in one transaction: what can leave enters
// the queue as those leave the hold who need not wait on. A crash before it
// changes nothing; after it, everything is done. What an administrator dropped in the
// meantime stays dropped.
func (q *Queue) resolve(ctx context.Context, s *heldMessage, b relay.Batch) error {
	return q.writer.write(ctx, func(tx *sql.Tx) error {
		if err := q.lease.mayStore(ctx, tx); err != nil {
			return err
		}
		if there, err := q.lockHold(ctx, tx, s); err != nil || !there {
			return err
		}
		if err := q.insert(ctx, tx, slices.Concat(b.Copies, b.Notices)); err != nil {
			return err
		}
		if err := q.insertQuestions(ctx, tx, b.Questions); err != nil {
			return err
		}
		if b.Held == nil {
			return q.removeHold(ctx, tx, s.id, s.message)
		}
		rest, err := storeHold(b.Held)
		if err != nil {
			return err
		}
		return q.updateHold(ctx, tx, s, rest)
	})
}

// postpone notes why nothing could be decided. An order of an administrator that can be
// carried out later stays.
func (q *Queue) postpone(ctx context.Context, s *heldMessage, why error) error {
	rest := s.stored
	rest.Trouble = relay.ReplyFor(why).Text
	return q.writer.write(ctx, func(tx *sql.Tx) error {
		if there, err := q.lockHold(ctx, tx, s); err != nil || !there {
			return err
		}
		if err := q.updateHold(ctx, tx, s, &rest); err != nil || !relay.Temporary(why) {
			return err
		}
		_, err := tx.ExecContext(ctx, `UPDATE smimerelay_hold SET job_order = $1 WHERE id = $2 AND job_order = ''`, s.orderText, s.id)
		return err
	})
}

// updateHold stores a hold again; an order that came in the meantime stays.
func (q *Queue) updateHold(ctx context.Context, tx *sql.Tx, s *heldMessage, rest *storedHold) error {
	text, err := json.Marshal(rest)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `UPDATE smimerelay_hold SET hold = $1, until = $2 WHERE id = $3`,
		string(text), rest.Until.UnixMilli(), s.id); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `UPDATE smimerelay_hold SET next = $1, job_order = '' WHERE id = $2 AND job_order = $3`,
		q.nextLook(rest), s.id, s.orderText)
	return err
}

// claimHold makes other nodes leave a hold alone for a while. It reports false if one
// of them has it.
func (q *Queue) claimHold(ctx context.Context, id int64) (bool, error) {
	if !q.engine.shared {
		return true, nil
	}
	now := q.config.Clock()
	res, err := q.db.ExecContext(ctx, `UPDATE smimerelay_hold SET next = $1 WHERE id = $2 AND next <= $3`,
		now.Add(2*q.config.Lease).UnixMilli(), id, now.UnixMilli())
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

// lockHold reports whether a hold is as it was read: it is not dropped, and no other
// node has done what was to be done with it. None can until the transaction ends.
func (q *Queue) lockHold(ctx context.Context, tx *sql.Tx, s *heldMessage) (bool, error) {
	query := `SELECT hold FROM smimerelay_hold WHERE id = $1`
	if q.engine.shared {
		query += ` FOR UPDATE`
	}
	var text string
	err := tx.QueryRowContext(ctx, query, s.id).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return text == s.text, err
}

// removeHold takes a hold out, with its message.
func (s *Store) removeHold(ctx context.Context, tx *sql.Tx, id, message int64) error {
	res, err := tx.ExecContext(ctx, `DELETE FROM smimerelay_hold WHERE id = $1`, id)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, notHeld(HoldID(id), sql.ErrNoRows)) // another node resolved it
	}
	return s.removeMessage(ctx, tx, message)
}
