package store

import (
	"context"
	"fmt"
	"time"

	"github.com/smimerelay/smimerelay/smime/address"
)

// Challenge is a message by which a certification authority makes sure of the address of an
// order, and its answer.
type Challenge struct {
	// Order is the ID of the order, ID the name of the challenge at the authority.
	Order, ID string
	// Token is what the message brought, MessageID its own; "" if it had none.
	Token, MessageID string
	// ReplyTo is whom the answer is for.
	ReplyTo   address.Address
	ArrivedAt time.Time
	// NextAt is when the answer is tried next, RepliedAt when it was handed on; zero: it
	// was not yet.
	NextAt, RepliedAt time.Time
}

// maxChallenges is how many messages of one challenge are kept. An authority sends one, and
// one more for each order of strangers for the same address.
const maxChallenges = 50

// PutChallenge notes that a challenge came. It reports false, and changes nothing, where the
// same token came before, or too many others did. Those of orders that are over go.
func (s *Store) PutChallenge(ctx context.Context, c *Challenge) (bool, error) {
	if _, err := s.write.ExecContext(ctx, `DELETE FROM store_challenge WHERE order_id IN
		(SELECT id FROM store_order WHERE state = 'done' OR state = 'cancelled')`); err != nil {
		return false, failed(err)
	}
	result, err := s.write.ExecContext(ctx, `INSERT INTO store_challenge (order_id, challenge, token, reply_to, message_id, arrived_at, next_at)
		SELECT CAST($1 AS TEXT), CAST($2 AS TEXT), CAST($3 AS TEXT), CAST($4 AS TEXT), CAST($5 AS TEXT), CAST($6 AS BIGINT), CAST($6 AS BIGINT)
		WHERE (SELECT COUNT(*) FROM store_challenge WHERE order_id = $1 AND challenge = $2) < $7 ON CONFLICT DO NOTHING`,
		c.Order, c.ID, c.Token, c.ReplyTo.String(), c.MessageID, s.now(), maxChallenges)
	if err != nil {
		return false, failed(err)
	}
	n, err := result.RowsAffected()
	return n == 1, err
}

// Challenges are what came of a challenge of an order.
func (s *Store) Challenges(ctx context.Context, order, id string) ([]Challenge, error) {
	return s.challenges(ctx, `order_id = $1 AND challenge = $2`, order, id)
}

// DueChallenges are those whose answer is to be tried at a time, of orders that wait for it.
func (s *Store) DueChallenges(ctx context.Context, at time.Time) ([]Challenge, error) {
	return s.challenges(ctx, `replied_at = 0 AND next_at <= $1 AND order_id IN (SELECT id FROM store_order WHERE state = 'sent')`, at.Unix())
}

func (s *Store) challenges(ctx context.Context, condition string, args ...any) ([]Challenge, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT order_id, challenge, token, reply_to, message_id, arrived_at, next_at, replied_at
		FROM store_challenge WHERE `+condition+` ORDER BY arrived_at, order_id, token`, args...)
	if err != nil {
		return nil, failed(err)
	}
	defer rows.Close()
	var list []Challenge
	for rows.Next() {
		var c Challenge
		var to string
		var arrived, next, replied int64
		if err := rows.Scan(&c.Order, &c.ID, &c.Token, &to, &c.MessageID, &arrived, &next, &replied); err != nil {
			return nil, failed(err)
		}
		if c.ReplyTo, err = address.Parse(to); err != nil {
			return nil, failed(fmt.Errorf("challenge of order %s: %w", c.Order, err))
		}
		c.ArrivedAt, c.NextAt, c.RepliedAt = moment(arrived), moment(next), moment(replied)
		list = append(list, c)
	}
	if err := rows.Err(); err != nil {
		return nil, failed(err)
	}
	return list, nil
}

// ClaimChallenge takes a challenge for one attempt to answer it, and makes it due again at
// next. False: another process took it, or it was answered.
func (s *Store) ClaimChallenge(ctx context.Context, c *Challenge, next time.Time) (bool, error) {
	ctx, end := claiming(ctx)
	defer end()
	result, err := s.write.ExecContext(ctx, `UPDATE store_challenge SET next_at = $1
		WHERE order_id = $2 AND challenge = $3 AND token = $4 AND next_at = $5 AND replied_at = 0`,
		stamp(next), c.Order, c.ID, c.Token, stamp(c.NextAt))
	if err != nil {
		return false, failed(err)
	}
	n, err := result.RowsAffected()
	return n == 1, err
}

// ChallengeAnswered notes that the answer was handed on, and makes the order due, unless its
// last attempt failed.
func (s *Store) ChallengeAnswered(ctx context.Context, c *Challenge) error {
	return s.orders(ctx, func(t *change) error {
		if _, err := t.ExecContext(ctx, `UPDATE store_challenge SET replied_at = $1 WHERE order_id = $2 AND challenge = $3 AND token = $4`,
			s.now(), c.Order, c.ID, c.Token); err != nil {
			return err
		}
		_, err := t.ExecContext(ctx, `UPDATE store_order SET next_at = $1
			WHERE id = $2 AND state = 'sent' AND attempts = 0 AND next_at > $1`, s.now(), c.Order)
		return err
	})
}
