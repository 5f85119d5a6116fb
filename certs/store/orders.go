package store

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/asn1"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/smime/address"
)

// OrderLimits say when new orders are refused.
type OrderLimits struct {
	// PerHour is how many there may be of their enrolment in an hour, these included; 0 is no
	// limit (ErrTooManyOrders).
	PerHour int
	// Seen is how many orders the address had when these were decided on; with another one
	// since, also one that is over, they are refused (ErrOrderOpen). Nil: that does not matter.
	Seen *int
}

// PutOrders stores new orders of one address with their keys, but for those that are made in a
// token, all or none. ErrOrderOpen: it has
// an open order for the same purpose.
func (s *Store) PutOrders(ctx context.Context, limits OrderLimits, orders ...Order) error {
	if s.sealer == nil {
		return failed(ErrNoKeyFile)
	}
	return s.orders(ctx, func(c *change) error {
		if err := s.sealer.keepCheck(ctx, c.Tx); err != nil {
			return err
		}
		for i := range orders {
			if i == 0 && limits.Seen != nil {
				if n, err := s.countOrders(ctx, c, orders[i].Address); err != nil || n != *limits.Seen {
					return cmp.Or(err, ErrOrderOpen)
				}
			}
			if err := s.putOrder(ctx, c, limits.PerHour, &orders[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

// CountOrders returns how many orders an address has had, for OrderLimits.Seen.
func (s *Store) CountOrders(ctx context.Context, a address.Address) (int, error) {
	n, err := s.countOrders(ctx, s.read, a)
	if err != nil {
		return 0, failed(err)
	}
	return n, nil
}

func (s *Store) countOrders(ctx context.Context, q querier, a address.Address) (n int, err error) {
	key, _ := s.mailboxKey(a)
	err = q.QueryRowContext(ctx, `SELECT COUNT(*) FROM store_order WHERE address = $1`, key).Scan(&n)
	return n, err
}

// orders is change with errors that say where they come from, but for those about orders.
func (s *Store) orders(ctx context.Context, fn func(*change) error) error {
	err := s.change(ctx, fn)
	for _, known := range []error{nil, ErrNoOrder, ErrOrderOpen, ErrTooManyOrders} {
		if errors.Is(err, known) {
			return err
		}
	}
	return failed(err)
}

func (s *Store) putOrder(ctx context.Context, c *change, most int, o *Order) error {
	if most > 0 {
		var n int
		if err := c.QueryRowContext(ctx, `SELECT COUNT(*) FROM store_order WHERE enrolment = $1 AND ordered_at > $2`,
			o.Enrolment, s.cfg.Clock().Add(-time.Hour).Unix()).Scan(&n); err != nil {
			return err
		}
		if n >= most {
			return ErrTooManyOrders
		}
	}
	key, ok := s.mailboxKey(o.Address)
	if !ok {
		return fmt.Errorf("address %q: no certificate can be ordered for it", o.Address)
	}
	var sealed any // NULL for a key that is made in a token, later
	if o.Token == "" {
		der, _, err := s.sealKey(o.Key, forOrder, []byte(o.ID))
		if err != nil {
			return fmt.Errorf("order for %s: %w", o.Address, err)
		}
		sealed = der
	}
	result, err := c.ExecContext(ctx, `INSERT INTO store_order
		(id, bundle, address, address_text, enrolment, purpose, state, sealed, token, next_at, ordered_at, changed_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11) ON CONFLICT DO NOTHING`,
		o.ID, o.Bundle, key, o.Address.String(), o.Enrolment, string(o.Purpose), string(OrderReady),
		sealed, o.Token, stamp(o.NextAt), s.now())
	return oneOrder(result, err, ErrOrderOpen)
}

// oneOrder returns none where a statement changed no row.
func oneOrder(result sql.Result, err, none error) error {
	if err != nil {
		return err
	}
	n, err := result.RowsAffected()
	if err == nil && n == 0 {
		err = none
	}
	return err
}

// Orders returns orders, those of the longest ago first.
func (s *Store) Orders(ctx context.Context, q OrderQuery) ([]Order, error) {
	condition, args := s.whereOrders(&q)
	order := ` ORDER BY ordered_at, id`
	if !q.Due.IsZero() {
		order = ` ORDER BY next_at, ordered_at, id`
	}
	query := `SELECT id, bundle, address_text, enrolment, purpose, state, sealed, token, reference, certificates,
		attempts, next_at, ordered_at, changed_at, problem, claim, claimed_until FROM store_order` + condition + order
	if q.Limit > 0 {
		query += fmt.Sprintf(" LIMIT %d", q.Limit)
	}
	rows, err := s.read.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, failed(err)
	}
	defer rows.Close()
	var list []Order
	for rows.Next() {
		o, err := s.scanOrder(rows, q.Keys)
		if err != nil {
			return nil, failed(err)
		}
		list = append(list, o)
	}
	if err := rows.Err(); err != nil {
		return nil, failed(err)
	}
	return list, nil
}

func (s *Store) whereOrders(q *OrderQuery) (string, []any) {
	var terms []string
	var args []any
	add := func(term string, arg any) {
		args = append(args, arg)
		terms = append(terms, strings.ReplaceAll(term, "?", fmt.Sprintf("$%d", len(args))))
	}
	if q.Prefix != "" {
		add("substr(id, 1, length(?)) = ?", strings.ToLower(q.Prefix))
	}
	if q.Bundle != "" {
		add("bundle = ?", q.Bundle)
	}
	if q.Address != nil {
		key, _ := s.mailboxKey(*q.Address)
		add("address = ?", key)
	}
	if q.Enrolment != "" {
		add("enrolment = ?", q.Enrolment)
	}
	if !q.Due.IsZero() {
		add("next_at <= ?", q.Due.Unix())
		add("claimed_until <= ?", q.Due.Unix())
		terms = append(terms, "state <> 'done' AND state <> 'failed' AND (state <> 'cancelled' OR sealed IS NOT NULL)")
	}
	if len(q.States) > 0 {
		var marks []string
		for _, state := range q.States {
			args = append(args, string(state))
			marks = append(marks, fmt.Sprintf("$%d", len(args)))
		}
		terms = append(terms, "state IN ("+strings.Join(marks, ", ")+")")
	}
	if len(terms) == 0 {
		return "", nil
	}
	return " WHERE " + strings.Join(terms, " AND "), args
}

func (s *Store) scanOrder(rows *sql.Rows, keys bool) (Order, error) {
	var o Order
	var text string
	var sealed, der []byte
	var next, ordered, changed, claimed int64
	if err := rows.Scan(&o.ID, &o.Bundle, &text, &o.Enrolment, &o.Purpose, &o.State, &sealed, &o.Token, &o.Reference, &der,
		&o.Attempts, &next, &ordered, &changed, &o.Problem, &o.claim, &claimed); err != nil {
		return o, err
	}
	o.NextAt, o.OrderedAt, o.ChangedAt = moment(next), moment(ordered), moment(changed)
	o.ClaimedUntil = moment(claimed)
	var err error
	if o.Address, err = address.Parse(text); err != nil {
		return o, fmt.Errorf("order %s: %w", o.ID, err)
	}
	for len(der) > 0 {
		one, rest, err := firstElement(der)
		if err != nil {
			return o, fmt.Errorf("order %s: its certificates are damaged", o.ID)
		}
		cert, err := parse(one)
		if err != nil {
			return o, fmt.Errorf("order %s: %w", o.ID, err)
		}
		o.Certificates, der = append(o.Certificates, cert), rest
	}
	if keys && sealed != nil {
		o.Key, err = s.unseal(sealed, o.Token, forOrder, []byte(o.ID))
	}
	return o, err
}

// ClaimOrder takes an order for one attempt, which is counted, and which no other process
// makes until a time: where this one dies in between, another takes it up then. From now on
// a request may have been sent. False: another process took it, or it is not worked on.
func (s *Store) ClaimOrder(ctx context.Context, o *Order, until time.Time) (bool, error) {
	if !o.State.working() && o.State != OrderCancelled {
		return false, nil
	}
	state := o.State
	if state == OrderReady {
		state = OrderSent
	}
	claim := rand.Text()
	ctx, end := claiming(ctx)
	defer end()
	result, err := s.write.ExecContext(ctx, `UPDATE store_order SET state = $1, attempts = attempts + 1, claim = $2, claimed_until = $3,
		changed_at = CASE WHEN state = 'cancelled' THEN changed_at ELSE $4 END
		WHERE id = $5 AND state = $6 AND attempts = $7 AND claim = $8 AND claimed_until <= $4`,
		string(state), claim, stamp(until), s.now(), o.ID, string(o.State), o.Attempts, o.claim)
	err = oneOrder(result, err, ErrNoOrder)
	if errors.Is(err, ErrNoOrder) {
		return false, nil
	}
	if err != nil {
		return false, failed(err)
	}
	o.State, o.Attempts, o.claim, o.ClaimedUntil = state, o.Attempts+1, claim, until
	return true, nil
}

// NoteOrder stores what became of the attempt for which an order was claimed: State,
// Attempts, NextAt, Reference, Certificates and Problem, with an answer also Key, which may be
// one that the provider made, and ends the claim. ErrNoOrder: the
// order is answered or over, or another process has claimed it since, unless there is an
// answer: that is stored, by any process.
func (s *Store) NoteOrder(ctx context.Context, o *Order) error {
	var der []byte
	for _, c := range o.Certificates {
		der = append(der, c.Raw...)
	}
	sealed, err := s.sealAnswered(o)
	if err != nil {
		return failed(err)
	}
	result, err := s.write.ExecContext(ctx, `UPDATE store_order SET state = $1, attempts = $2, next_at = $3, changed_at = $4,
		reference = $5, certificates = $6, problem = $7, claim = '', claimed_until = 0, sealed = COALESCE($8, sealed)
		WHERE id = $9 AND state IN ('ready', 'sent') AND (claim = $10 OR $11)`,
		string(o.State), o.Attempts, stamp(o.NextAt), s.now(), o.Reference, der, o.Problem, sealed, o.ID, o.claim, o.State == OrderAnswered)
	if err = oneOrder(result, err, ErrNoOrder); err != nil && !errors.Is(err, ErrNoOrder) {
		return failed(err)
	}
	if err == nil {
		o.claim, o.ClaimedUntil = "", time.Time{}
	}
	return err
}

// sealAnswered seals the key of an order that was answered; nil leaves the one that is stored.
func (s *Store) sealAnswered(o *Order) (any, error) {
	if o.State != OrderAnswered || o.Key == nil || s.sealer == nil {
		return nil, nil
	}
	sealed, _, err := s.sealKey(o.Key, forOrder, []byte(o.ID))
	if err != nil {
		return nil, fmt.Errorf("order for %s: %w", o.Address, err)
	}
	return sealed, nil
}

// NoteOrderKey stores the key of an order that had none, as one that a token makes, before a
// request with it is sent; from now on the claim is until another time. ErrNoOrder: the order is over, or another process has claimed it since.
func (s *Store) NoteOrderKey(ctx context.Context, o *Order, until time.Time) error {
	if s.sealer == nil {
		return failed(ErrNoKeyFile)
	}
	sealed, token, err := s.sealKey(o.Key, forOrder, []byte(o.ID))
	if err != nil {
		return failed(err)
	}
	result, err := s.write.ExecContext(ctx, `UPDATE store_order SET sealed = $1, token = $2, changed_at = $3, claimed_until = $4
		WHERE id = $5 AND state = 'sent' AND claim = $6 AND sealed IS NULL`, sealed, token, s.now(), stamp(until), o.ID, o.claim)
	if err = oneOrder(result, err, ErrNoOrder); err != nil && !errors.Is(err, ErrNoOrder) {
		return failed(err)
	}
	if err == nil {
		o.ClaimedUntil = until
	}
	return err
}

// FinishOrders stores the identities of all orders of a bundle and ends the orders, in one
// step. ErrNoOrder: they have ended already.
func (s *Store) FinishOrders(ctx context.Context, bundle string, origin Origin, ids ...*certs.Identity) error {
	if s.sealer == nil {
		return failed(ErrNoKeyFile)
	}
	var items []item
	for _, id := range ids {
		it, err := s.prepareIdentity(id)
		if err != nil {
			return failed(err)
		}
		items = append(items, it)
	}
	return s.orders(ctx, func(c *change) error {
		result, err := c.ExecContext(ctx, `UPDATE store_order SET state = $1, sealed = NULL, problem = '', changed_at = $2
			WHERE bundle = $3 AND state = $4`, string(OrderDone), s.now(), bundle, string(OrderAnswered))
		if err := oneOrder(result, err, ErrNoOrder); err != nil {
			return err
		}
		var stored Stored
		for i := range items {
			if err := s.putOne(ctx, c, origin, &items[i], &stored); err != nil {
				return err
			}
		}
		return nil
	})
}

// waits is the claim of a cancelled order on which its provider had not decided.
const waits = "cancelled"

// CancelOrders ends the orders of a bundle that are not done. The keys of those for which a
// request may have been sent are kept until ClearOrder: by them is known what was issued.
// ErrNoOrder: there is none.
func (s *Store) CancelOrders(ctx context.Context, bundle string) error {
	result, err := s.write.ExecContext(ctx, `UPDATE store_order SET sealed = CASE WHEN state = $1 THEN NULL ELSE sealed END,
		claim = CASE WHEN state = $2 AND claim = '' THEN $3 ELSE claim END, state = $4, attempts = 0,
		next_at = $5, changed_at = $5 WHERE bundle = $6 AND state <> 'done' AND state <> 'cancelled'`,
		string(OrderReady), string(OrderSent), waits, string(OrderCancelled), s.now(), bundle)
	if err = oneOrder(result, err, ErrNoOrder); err != nil && !errors.Is(err, ErrNoOrder) {
		return failed(err)
	}
	return err
}

// ClearOrder deletes the key of a cancelled order: nothing is left to revoke.
func (s *Store) ClearOrder(ctx context.Context, id string) error {
	_, err := s.write.ExecContext(ctx, `UPDATE store_order SET sealed = NULL, claim = '', claimed_until = 0 WHERE id = $1 AND state = 'cancelled'`, id)
	if err != nil {
		return failed(err)
	}
	return nil
}

// PostponeClearing says when a cancelled order that could not be cleared is due again.
func (s *Store) PostponeClearing(ctx context.Context, id string, until time.Time) error {
	_, err := s.write.ExecContext(ctx, `UPDATE store_order SET next_at = $1, attempts = attempts + 1 WHERE id = $2 AND state = 'cancelled'`, stamp(until), id)
	if err != nil {
		return failed(err)
	}
	return nil
}

// RetryOrders makes the orders of a bundle that are not over due now; those that failed
// are worked on again. An attempt that is under way goes on. ErrNoOrder: there is none.
func (s *Store) RetryOrders(ctx context.Context, bundle string) error {
	result, err := s.write.ExecContext(ctx, `UPDATE store_order SET state = CASE WHEN state = 'failed' THEN 'sent' ELSE state END,
		attempts = 0, next_at = $1, changed_at = $1, problem = '' WHERE bundle = $2 AND state <> 'done' AND state <> 'cancelled'`, s.now(), bundle)
	if err = oneOrder(result, err, ErrNoOrder); err != nil && !errors.Is(err, ErrNoOrder) {
		return failed(err)
	}
	return err
}

// FailOrders ends the work on the orders of a bundle until RetryOrders or CancelOrders: no
// further attempt will mend them. What the provider answered stays. ErrNoOrder: none of them is
// worked on.
func (s *Store) FailOrders(ctx context.Context, bundle, problem string) error {
	result, err := s.write.ExecContext(ctx, `UPDATE store_order SET state = $1, problem = $2, changed_at = $3
		WHERE bundle = $4 AND state IN ('ready', 'sent', 'answered')`, string(OrderFailed), problem, s.now(), bundle)
	if err = oneOrder(result, err, ErrNoOrder); err != nil && !errors.Is(err, ErrNoOrder) {
		return failed(err)
	}
	return err
}

// firstElement cuts the first certificate off.
func firstElement(der []byte) (one, rest []byte, err error) {
	var element asn1.RawValue
	rest, err = asn1.Unmarshal(der, &element)
	return element.FullBytes, rest, err
}
