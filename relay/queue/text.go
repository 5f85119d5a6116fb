package queue

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"

	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime/message"
)

// partSize is how much of a message stands in one row. SQLite takes and gives the
// value of a row whole, several times over: a message of 100 MB in one row took
// another 400 MB to store, and as much to read.
const partSize = 1 << 20

// messageSize is the size of the message m in a query.
const messageSize = `coalesce((SELECT l.size FROM smimerelay_large l WHERE l.message_id = m.id), octet_length(m.data))`

// insertMessage stores a message and returns its number.
func (s *Store) insertMessage(ctx context.Context, tx *sql.Tx, m *message.Message) (int64, error) {
	first, rest := divided(m)
	id, err := s.insertRow(ctx, tx, `INSERT INTO smimerelay_message (data) VALUES ($1)`, first)
	if err != nil || len(rest) == 0 {
		return id, err
	}
	parts := rand.Int64() //nolint:gosec // G404: it names, and may be guessed
	if _, err := tx.ExecContext(ctx, `INSERT INTO smimerelay_large (message_id, size, parts) VALUES ($1, $2, $3)`, id, m.Size(), parts); err != nil {
		return 0, err
	}
	for part := range slices.Chunk(rest, partSize) {
		if _, err := tx.ExecContext(ctx, `INSERT INTO smimerelay_part (parts, data) VALUES ($1, $2)`, parts, part); err != nil {
			return 0, err
		}
	}
	return id, nil
}

// divided returns what of a message stands in its row, and what follows. A large one
// is not joined for that.
func divided(m *message.Message) (first, rest []byte) {
	if m.Size() <= partSize {
		return m.Bytes(), nil
	}
	head, body := m.Header(), m.Body()
	n := min(len(body), max(0, partSize-len(head)))
	return slices.Concat(head, body[:n]), body[n:]
}

// collectEvery is after how many octets read the garbage is collected: the driver
// leaves as much behind as it reads.
const collectEvery = 16 << 20

// readText returns the text of a stored message of size octets.
func readText(ctx context.Context, tx *sql.Tx, id int64, size int) ([]byte, error) {
	var first []byte
	err := tx.QueryRowContext(ctx, `SELECT data FROM smimerelay_message WHERE id = $1`, id).Scan(&first)
	if err != nil || size == len(first) {
		return first, err
	}
	rows, err := tx.QueryContext(ctx, `SELECT p.data FROM smimerelay_large l JOIN smimerelay_part p ON p.parts = l.parts
		WHERE l.message_id = $1 ORDER BY p.id`, id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	text := append(make([]byte, 0, size), first...)
	for rows.Next() {
		var part sql.RawBytes
		if err := rows.Scan(&part); err != nil {
			return nil, err
		}
		if len(text)/collectEvery != (len(text)+len(part))/collectEvery {
			runtime.GC()
		}
		text = append(text, part...)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if len(text) != size {
		return nil, fmt.Errorf("%d octets of a message of %d are stored", len(text), size)
	}
	return text, nil
}

// piecesFrom is from what size on a message is not read whole to be delivered.
const piecesFrom = 4 * partSize

// errCut is the error for a message of which a part is gone: it was removed meanwhile.
var errCut = errors.New("a part of the message is not in the queue any more")

// partsOf names the parts of the message $1 in a query; 0 if its row is all of it. What
// reads a message twice compares it: SQLite gives the number of a message that is gone to
// another one.
const partsOf = `coalesce((SELECT l.parts FROM smimerelay_large l WHERE l.message_id = $1), 0)`

// inPieces returns a stored message of size octets that is read in pieces, by load as a
// whole, which is given the name of its parts; nil where it has none, or its header does not
// end in the first.
func (s *Store) inPieces(ctx context.Context, tx *sql.Tx, id int64, size int, load func(context.Context, int64) (*message.Message, error)) (*relay.Stored, error) {
	var first []byte
	var parts int64
	err := tx.QueryRowContext(ctx, `SELECT data, `+partsOf+` FROM smimerelay_message WHERE id = $1`, id).Scan(&first, &parts)
	if err != nil || parts == 0 {
		return nil, err
	}
	end := bytes.Index(first, []byte("\r\n\r\n"))
	if end < 0 {
		return nil, nil
	}
	return &relay.Stored{
		Header: bytes.Clone(first[:end+4]), Size: size,
		Load: func(ctx context.Context) (*message.Message, error) { return load(ctx, parts) },
		Pieces: func(ctx context.Context, each func([]byte) error) error {
			return s.eachPiece(ctx, id, parts, size, each)
		},
	}, nil
}

// present returns errCut unless a message with these parts is there.
func present(ctx context.Context, tx *sql.Tx, id, parts int64) error {
	var there bool
	err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM smimerelay_large WHERE message_id = $1 AND parts = $2)`, id, parts).Scan(&there)
	if err == nil && !there {
		err = errCut
	}
	return err
}

// eachPiece calls each with the parts of a message, each of which it reads by itself: what
// takes the message may be slow, and others use the store meanwhile.
func (s *Store) eachPiece(ctx context.Context, id, parts int64, size int, each func([]byte) error) error {
	var piece []byte
	err := s.db.QueryRowContext(ctx, `SELECT data FROM smimerelay_message WHERE id = $1 AND `+partsOf+` = $2`, id, parts).Scan(&piece)
	for last, read := int64(0), 0; ; {
		if errors.Is(err, sql.ErrNoRows) {
			return errCut
		}
		if err != nil {
			return err
		}
		if err := each(piece); err != nil {
			return err
		}
		if read += len(piece); read >= size {
			return nil
		}
		err = s.db.QueryRowContext(ctx, `SELECT id, data FROM smimerelay_part WHERE parts = $1 AND id > $2 ORDER BY id LIMIT 1`, parts, last).
			Scan(&last, &piece)
	}
}

// readMessage returns a stored message of size octets.
func readMessage(ctx context.Context, tx *sql.Tx, id int64, size int) (*message.Message, error) {
	text, err := readText(ctx, tx, id, size)
	if err != nil {
		return nil, err
	}
	return message.Parse(text)
}

// wipe deletes the parts of messages that are gone, a few in each transaction that
// write makes: the file overwrites what is deleted, and SQLite holds what a savepoint
// may bring back in memory.
func wipe(ctx context.Context, db *sql.DB, write func(func(*sql.Tx) error) error) error {
	for {
		var parts int64
		err := db.QueryRowContext(ctx, `SELECT parts FROM smimerelay_wipe LIMIT 1`).Scan(&parts)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err == nil {
			err = write(func(tx *sql.Tx) error { return wipeSome(context.WithoutCancel(ctx), tx, parts) })
		}
		if err != nil {
			return err
		}
	}
}

// wipeSome deletes a few parts or, if there are none left, the note of them.
func wipeSome(ctx context.Context, tx *sql.Tx, parts int64) error {
	res, err := tx.ExecContext(ctx, `DELETE FROM smimerelay_part WHERE id IN
		(SELECT id FROM smimerelay_part WHERE parts = $1 LIMIT 4)`, parts)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n > 0 {
		return err
	}
	_, err = tx.ExecContext(ctx, `DELETE FROM smimerelay_wipe WHERE parts = $1`, parts)
	return err
}

// wipe is wipe for a queue that no process may be working on.
func (s *Store) wipe(ctx context.Context) error {
	return wipe(ctx, s.db, func(apply func(*sql.Tx) error) error {
		tx, err := s.db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer tx.Rollback()
		if err := apply(tx); err != nil {
			return err
		}
		return tx.Commit()
	})
}
