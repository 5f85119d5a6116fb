package queue

import (
	"context"
	"database/sql"
	"slices"

	"github.com/smimerelay/smimerelay/smime/message"
)

// partSize is how much of a message stands in one row. SQLite takes and gives the
// value of a row whole, several times over: a message of 100 MB in one row took
// another 400 MB to store, and as much to read.
const partSize = 1 << 20

// messageSize is the size of the message m in a query.
const messageSize = `length(m.data) + coalesce((SELECT sum(length(p.data)) FROM smimerelay_part p WHERE p.message_id = m.id), 0)`

// insertMessage stores a message and returns its number.
func insertMessage(ctx context.Context, tx *sql.Tx, m *message.Message) (int64, error) {
	first, rest := parts(m)
	id, err := insertRow(ctx, tx, `INSERT INTO smimerelay_message (data) VALUES (?)`, first)
	if err != nil {
		return 0, err
	}
	for part := range slices.Chunk(rest, partSize) {
		if _, err := tx.ExecContext(ctx, `INSERT INTO smimerelay_part (message_id, data) VALUES (?, ?)`, id, part); err != nil {
			return 0, err
		}
	}
	return id, nil
}

// parts returns what of a message stands in its row, and what follows. A large one
// is not joined for that.
func parts(m *message.Message) (first, rest []byte) {
	if m.Size() <= partSize {
		return m.Bytes(), nil
	}
	head, body := m.Header(), m.Body()
	n := min(len(body), max(0, partSize-len(head)))
	return slices.Concat(head, body[:n]), body[n:]
}

// readText returns the text of a stored message of size octets.
func readText(ctx context.Context, tx *sql.Tx, id int64, size int) ([]byte, error) {
	var first []byte
	err := tx.QueryRowContext(ctx, `SELECT data FROM smimerelay_message WHERE id = ?`, id).Scan(&first)
	if err != nil || size == len(first) {
		return first, err
	}
	rows, err := tx.QueryContext(ctx, `SELECT data FROM smimerelay_part WHERE message_id = ? ORDER BY id`, id)
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
		text = append(text, part...)
	}
	return text, rows.Err()
}

// readMessage returns a stored message of size octets.
func readMessage(ctx context.Context, tx *sql.Tx, id int64, size int) (*message.Message, error) {
	text, err := readText(ctx, tx, id, size)
	if err != nil {
		return nil, err
	}
	return message.Parse(text)
}
