package store

import (
	"context"
	"database/sql"
	"encoding/asn1"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/smime/address"
)

// PutOrders stores new orders with their keys, all or none. most is how many there may
// be of their enrolment in an hour, these included; 0 is no limit (ErrTooManyOrders).
// ErrOrderOpen: an address has an open order for the same purpose.
func (s *Store) PutOrders(ctx context.Context, most int, orders ...Order) error {
	if s.sealer == nil {
		return failed(errNoSealer)
	}
	return s.orders(ctx, func(c *change) error {
		if err := s.sealer.keepCheck(ctx, c.Tx); err != nil {
			return err
		}
		for i := range orders {
			if err := s.putOrder(ctx, c, most, &orders[i]); err != nil {
				return err
			}
		}
		return nil
	})
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
	key, ok := addressKey(o.Address)
	if !ok {
		return fmt.Errorf("address %q: no certificate can be ordered for it", o.Address)
	}
	der, err := pkix.MarshalPrivateKey(o.Key)
	if err != nil {
		return fmt.Errorf("order for %s: a private key of type %T can not be kept in the store", o.Address, o.Key)
	}
	defer clear(der)
	result, err := c.ExecContext(ctx, `INSERT INTO store_order
		(id, bundle, address, address_text, enrolment, purpose, state, sealed, next_at, ordered_at, changed_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10) ON CONFLICT DO NOTHING`,
		o.ID, o.Bundle, key, o.Address.String(), o.Enrolment, string(o.Purpose), string(OrderReady),
		s.sealer.seal(der, forOrder, []byte(o.ID)), stamp(o.NextAt), s.now())
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
	condition, args := q.where()
	query := `SELECT id, bundle, address_text, enrolment, purpose, state, sealed, reference, certificates,
		attempts, next_at, ordered_at, changed_at, problem FROM store_order` + condition + ` ORDER BY ordered_at, id`
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

func (q *OrderQuery) where() (string, []any) {
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
		key, _ := addressKey(*q.Address)
		add("address = ?", key)
	}
	if q.Enrolment != "" {
		add("enrolment = ?", q.Enrolment)
	}
	if !q.Due.IsZero() {
		add("next_at <= ?", q.Due.Unix())
		terms = append(terms, "state <> 'done' AND state <> 'cancelled' AND state <> 'failed'")
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
	var next, ordered, changed int64
	if err := rows.Scan(&o.ID, &o.Bundle, &text, &o.Enrolment, &o.Purpose, &o.State, &sealed, &o.Reference, &der,
		&o.Attempts, &next, &ordered, &changed, &o.Problem); err != nil {
		return o, err
	}
	o.NextAt, o.OrderedAt, o.ChangedAt = moment(next), moment(ordered), moment(changed)
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
		o.Key, err = s.unseal(sealed, forOrder, []byte(o.ID))
	}
	return o, err
}

// ClaimOrder takes an order for one attempt, which is counted, and makes it due again at
// next: where this process dies in between, another one takes it up then. From now on a
// request may have been sent. False: another process took it, or it is not worked on.
func (s *Store) ClaimOrder(ctx context.Context, o *Order, next time.Time) (bool, error) {
	if !o.State.working() {
		return false, nil
	}
	state := o.State
	if state == OrderReady {
		state = OrderSent
	}
	result, err := s.write.ExecContext(ctx, `UPDATE store_order SET state = $1, attempts = attempts + 1, next_at = $2, changed_at = $3
		WHERE id = $4 AND state = $5 AND attempts = $6 AND next_at = $7`,
		string(state), stamp(next), s.now(), o.ID, string(o.State), o.Attempts, stamp(o.NextAt))
	err = oneOrder(result, err, ErrNoOrder)
	if errors.Is(err, ErrNoOrder) {
		return false, nil
	}
	if err != nil {
		return false, failed(err)
	}
	o.State, o.Attempts, o.NextAt = state, o.Attempts+1, next
	return true, nil
}

// NoteOrder stores what became of an attempt: State, Attempts, NextAt, Reference,
// Certificates and Problem of an order that is worked on or failed. One that an
// administrator cancelled meanwhile stays so: ErrNoOrder.
func (s *Store) NoteOrder(ctx context.Context, o *Order) error {
	var der []byte
	for _, c := range o.Certificates {
		der = append(der, c.Raw...)
	}
	result, err := s.write.ExecContext(ctx, `UPDATE store_order SET state = $1, attempts = $2, next_at = $3, changed_at = $4,
		reference = $5, certificates = $6, problem = $7 WHERE id = $8 AND state <> 'done' AND state <> 'cancelled'`,
		string(o.State), o.Attempts, stamp(o.NextAt), s.now(), o.Reference, der, o.Problem, o.ID)
	if err = oneOrder(result, err, ErrNoOrder); err != nil && !errors.Is(err, ErrNoOrder) {
		return failed(err)
	}
	return err
}

// FinishOrders stores the identities of all orders of a bundle and ends the orders, in one
// step. ErrNoOrder: they have ended already.
func (s *Store) FinishOrders(ctx context.Context, bundle string, origin Origin, ids ...*certs.Identity) error {
	if s.sealer == nil {
		return failed(errNoSealer)
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

// CancelOrders ends the orders of a bundle that are not done, and forgets their keys.
// ErrNoOrder: there is none.
func (s *Store) CancelOrders(ctx context.Context, bundle string) error {
	result, err := s.write.ExecContext(ctx, `UPDATE store_order SET state = $1, sealed = NULL, changed_at = $2
		WHERE bundle = $3 AND state <> 'done' AND state <> 'cancelled'`, string(OrderCancelled), s.now(), bundle)
	if err = oneOrder(result, err, ErrNoOrder); err != nil && !errors.Is(err, ErrNoOrder) {
		return failed(err)
	}
	return err
}

// RetryOrders makes the orders of a bundle that are not over due now; those that failed
// are worked on again. ErrNoOrder: there is none.
func (s *Store) RetryOrders(ctx context.Context, bundle string) error {
	result, err := s.write.ExecContext(ctx, `UPDATE store_order SET state = CASE WHEN state = 'failed' THEN 'sent' ELSE state END,
		attempts = 0, next_at = $1, changed_at = $1, problem = '' WHERE bundle = $2 AND state <> 'done' AND state <> 'cancelled'`, s.now(), bundle)
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
