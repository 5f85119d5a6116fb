package queue

import (
	"context"
	"database/sql"

	"github.com/smimerelay/smimerelay/internal/postgresdb"
	"github.com/smimerelay/smimerelay/smime/message"
)

// unload stores what was read from another queue, unless it is here already.
func (s *Store) unload(ctx context.Context, c *cargo) error {
	m, err := message.Parse(c.text)
	if err != nil {
		return err
	}
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	res, err := tx.ExecContext(ctx, `INSERT INTO smimerelay_moved (mark) VALUES ($1) ON CONFLICT (mark) DO NOTHING`, c.mark)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return err
	}
	body, err := s.insertMessage(ctx, tx, m)
	if err != nil {
		return err
	}
	for i := range c.deliveries {
		if err := s.unloadDelivery(ctx, tx, &c.deliveries[i], body); err != nil {
			return err
		}
	}
	for _, h := range c.holds {
		if _, err := tx.ExecContext(ctx, `INSERT INTO smimerelay_hold (message_id, hold, until, next, job_order) VALUES ($1, $2, $3, $4, $5)`,
			body, h.hold, h.until, h.next, h.order); err != nil {
			return err
		}
	}
	return tx.Commit()
}

func (s *Store) unloadDelivery(ctx context.Context, tx *sql.Tx, d *movedDelivery, body int64) error {
	id, err := s.insertRow(ctx, tx, `INSERT INTO smimerelay_delivery (message_id, sender, params, created, attempts, destination)
		VALUES ($1, $2, $3, $4, $5, $6)`, body, d.sender, d.params, d.created, d.attempts, d.destination)
	if err != nil {
		return err
	}
	for _, r := range d.recipients {
		// The position is that of the rules in params too.
		if _, err := tx.ExecContext(ctx, `INSERT INTO smimerelay_recipient
			(delivery_id, position, address, notify, original_type, original, error) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			id, r.position, r.Address.String(), joinWords(r.Notify), postgresdb.Text(r.OriginalType), postgresdb.Text(r.Original), postgresdb.Text(r.lastError)); err != nil {
			return err
		}
	}
	if err := s.enqueue(ctx, tx, id, priorityAfter(d.attempts), d.wait); err != nil || !d.onHold {
		return err
	}
	_, err = tx.ExecContext(ctx, `UPDATE river_job SET state = 'pending' WHERE id = (SELECT job_id FROM smimerelay_delivery WHERE id = $1)`, id)
	return err
}

// removeCargo takes out what is in another queue by now.
func (s *Store) removeCargo(ctx context.Context, c *cargo) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	for _, d := range c.deliveries {
		if _, err := tx.ExecContext(ctx, `DELETE FROM river_job WHERE id = (SELECT job_id FROM smimerelay_delivery WHERE id = $1)`, d.id); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM smimerelay_delivery WHERE id = $1`, d.id); err != nil {
			return err
		}
	}
	for _, h := range c.holds {
		if _, err := tx.ExecContext(ctx, `DELETE FROM smimerelay_hold WHERE id = $1`, h.id); err != nil {
			return err
		}
	}
	if err := s.removeMessage(ctx, tx, c.id); err != nil {
		return err
	}
	return tx.Commit()
}
