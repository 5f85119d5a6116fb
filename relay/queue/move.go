package queue

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"
)

// Moved is what Move has moved.
type Moved struct {
	Messages   int `json:"messages"`
	Deliveries int `json:"deliveries"`
	Held       int `json:"held"`
}

// Move takes all mail out of one queue, which no gateway may be working on, and puts it
// into another. Each message is in the other one, with all its deliveries and holds, before
// it leaves; one that was there when Move was interrupted is not put there again.
func Move(ctx context.Context, from, to Place) (m Moved, err error) {
	source, err := openOwned(ctx, from)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	target, err := openOwned(ctx, to)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	guard, err := source.keepNodesOut(ctx)
	if err != nil {
		return m, fmt.Errorf("queue %q: %w", from.label(), err)
	}
	defer func() { err = errors.Join(err, guard.end(ctx)) }()
	return source.move(ctx, target.Store, guard)
}

// An ownedStore is a queue that no other process works on, if it is a file.
type ownedStore struct {
	*Store
	lock *os.File
}

// openOwned opens a queue, and makes it where it is missing.
func openOwned(ctx context.Context, p Place) (o ownedStore, err error) {
	if p.URL == "" {
		o.lock, err = lockFile(p.Path)
	}
	if err == nil {
		o.Store, err = openStore(ctx, p, "", true, slog.New(slog.DiscardHandler))
	}
	if err != nil {
		return o, errors.Join(fmt.Errorf("queue %q: %w", p.label(), err), o.Close())
	}
	return o, nil
}

// Close closes what is open.
func (o ownedStore) Close() (err error) {
	if o.Store != nil {
		err = o.Store.Close()
	}
	if o.lock != nil {
		err = errors.Join(err, o.lock.Close())
	}
	return err
}

// nodeGuard keeps nodes from working on a shared queue; the lock of a file does it for
// others.
type nodeGuard struct{ conn *sql.Conn }

// keepNodesOut makes sure that no node works on a queue, and that none begins until the
// guard ends.
func (s *Store) keepNodesOut(ctx context.Context) (*nodeGuard, error) {
	if !s.engine.shared {
		return &nodeGuard{}, nil
	}
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	got, err := moveLock.TrySession(ctx, conn)
	if err == nil && !got {
		err = errBusy // a node begins, or the mail is being moved already
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	g := &nodeGuard{conn}
	if err := s.isIdle(ctx); err != nil {
		return nil, errors.Join(err, g.end(ctx))
	}
	return g, nil
}

// check returns an error if the server has ended the connection, and the lock with it.
func (g *nodeGuard) check(ctx context.Context) error {
	if g.conn == nil {
		return nil
	}
	if err := g.conn.PingContext(ctx); err != nil {
		return fmt.Errorf("the lock that keeps gateways from delivering is lost; run the command again: %w", err)
	}
	return nil
}

// end lets nodes work again.
func (g *nodeGuard) end(ctx context.Context) error {
	if g.conn == nil {
		return nil
	}
	return errors.Join(moveLock.SessionUnlock(context.WithoutCancel(ctx), g.conn), g.conn.Close())
}

// errBusy is the error for a queue that a gateway works on.
var errBusy = errors.New("in use by a gateway; stop it on all nodes")

// isIdle returns an error if a node works on a shared queue.
func (s *Store) isIdle(ctx context.Context) error {
	if !s.engine.shared {
		return nil
	}
	var n int
	err := s.db.QueryRowContext(ctx, `SELECT count(*) FROM smimerelay_node WHERE until > `+serverNow).Scan(&n)
	if err == nil && n > 0 {
		err = errBusy
	}
	return err
}

func (s *Store) move(ctx context.Context, to *Store, guard *nodeGuard) (m Moved, err error) {
	ids, err := queryInts(ctx, s.db, `SELECT id FROM smimerelay_message ORDER BY id`)
	if err != nil {
		return m, err
	}
	for _, id := range ids {
		if err := guard.check(ctx); err != nil {
			return m, err
		}
		c, err := s.readCargo(ctx, id)
		if err != nil {
			return m, fmt.Errorf("message %d: %w", id, err)
		}
		if err := to.unload(ctx, c); err != nil {
			return m, fmt.Errorf("message %d: %w", id, err)
		}
		if err := s.removeCargo(ctx, c); err != nil {
			return m, fmt.Errorf("message %d: %w", id, err)
		}
		// It cannot be there twice any more.
		if err := to.forget(ctx, c.mark); err != nil {
			return m, err
		}
		m.count(c)
	}
	if err := s.moveQuestions(ctx, to); err != nil {
		return m, err
	}
	return m, s.wipe(ctx)
}

// count adds a message.
func (m *Moved) count(c *cargo) {
	m.Messages++
	m.Deliveries += len(c.deliveries)
	m.Held += len(c.holds)
}

// forget removes the marks of messages that will not come again: all of them, or none.
func (s *Store) forget(ctx context.Context, marks ...string) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	for _, mark := range marks {
		if _, err := tx.ExecContext(ctx, `DELETE FROM smimerelay_moved WHERE mark = $1`, mark); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// cargo is a message with all that refers to it.
type cargo struct {
	id         int64
	mark       string // of this message and no other
	text       []byte
	deliveries []movedDelivery
	holds      []movedHold
}

// movedDelivery is a delivery as it is stored.
type movedDelivery struct {
	id, created                 int64
	attempts                    int
	sender, params, destination string
	wait                        time.Duration
	onHold                      bool
	recipients                  []recipient
}

// movedHold is a hold as it is stored.
type movedHold struct {
	id, until, next int64
	hold, order     string
}

// readCargo reads a message with all that refers to it.
func (s *Store) readCargo(ctx context.Context, id int64) (*cargo, error) {
	tx, err := s.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer tx.Rollback()
	return s.readCargoIn(ctx, tx, id)
}

// readCargoIn is readCargo in a transaction.
func (s *Store) readCargoIn(ctx context.Context, tx *sql.Tx, id int64) (c *cargo, err error) {
	c = &cargo{id: id}
	var size int
	if err := tx.QueryRowContext(ctx, `SELECT `+messageSize+` FROM smimerelay_message m WHERE m.id = $1`, id).Scan(&size); err != nil {
		return nil, err
	}
	if c.text, err = readText(ctx, tx, id, size); err != nil {
		return nil, err
	}
	if err := s.readDeliveries(ctx, tx, c); err != nil {
		return nil, err
	}
	for i := range c.deliveries {
		if c.deliveries[i].recipients, err = readRecipients(ctx, tx, c.deliveries[i].id); err != nil {
			return nil, err
		}
	}
	if err := readHolds(ctx, tx, c); err != nil {
		return nil, err
	}
	c.seal()
	return c, nil
}

func (s *Store) readDeliveries(ctx context.Context, tx *sql.Tx, c *cargo) error {
	rows, err := tx.QueryContext(ctx, `SELECT d.id, d.sender, d.params, d.created, d.attempts, d.destination, `+s.engine.next+`,
		coalesce(CAST(j.state AS TEXT), ''), d.lined FROM smimerelay_delivery d LEFT JOIN river_job j ON j.id = d.job_id
		WHERE d.message_id = $1 ORDER BY d.id`, c.id)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var d movedDelivery
		var next, lined int64
		var state string
		if err := rows.Scan(&d.id, &d.sender, &d.params, &d.created, &d.attempts, &d.destination, &next, &state, &lined); err != nil {
			return err
		}
		d.onHold = state == "pending"
		if state == "available" && lined == 0 { // the line is one of this place
			d.wait = max(0, time.Until(time.Unix(next, 0)))
		}
		c.deliveries = append(c.deliveries, d)
	}
	return rows.Err()
}

func readHolds(ctx context.Context, tx *sql.Tx, c *cargo) error {
	rows, err := tx.QueryContext(ctx, `SELECT id, hold, until, next, job_order FROM smimerelay_hold WHERE message_id = $1 ORDER BY id`, c.id)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var h movedHold
		if err := rows.Scan(&h.id, &h.hold, &h.until, &h.next, &h.order); err != nil {
			return err
		}
		c.holds = append(c.holds, h)
	}
	return rows.Err()
}

// seal computes the mark: numbers are used again, contents with their times are not.
func (c *cargo) seal() {
	h := sha256.New()
	fmt.Fprintln(h, c.id, len(c.text))
	h.Write(c.text)
	for _, d := range c.deliveries {
		fmt.Fprintf(h, "%d %d %q %q\n", d.id, d.created, d.sender, d.params)
	}
	for _, x := range c.holds {
		fmt.Fprintf(h, "%d %d %q\n", x.id, x.until, x.hold)
	}
	c.mark = hex.EncodeToString(h.Sum(nil))
}
