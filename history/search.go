package history

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/smime/address"
)

// Query says which rows to find: all that is set must hold.
type Query struct {
	// Text is an ID, a queue id, a Message-ID or an address, whichever it is of a row.
	Text string
	// Address is the sender or the recipient; the zero value is not asked for.
	Address address.Address
	// Since is the earliest time, Until the first that is too late; zero is no bound.
	Since, Until time.Time
	// Outcome, Listener, Direction and Rule are as in a Row; "" is any.
	Outcome                   Outcome
	Listener, Direction, Rule string
	// Cursor is where the page before ended, Page.Next of it; "" is the first page.
	Cursor string
	// Limit is the most rows of a page: defaultLimit where it is not positive, MaxLimit at most.
	Limit int
}

// The bounds of a page.
const (
	defaultLimit = 50
	MaxLimit     = 1000
)

// Page is a part of what was found, newest first.
type Page struct {
	Rows []Row `json:"rows"`
	// Next is the Cursor of the page that follows, "" where there is none.
	Next string `json:"next,omitempty"`
}

// ErrCursor is of a cursor that Search did not make.
var ErrCursor = errors.New("not a cursor of this search")

// Search finds rows, newest first.
func (s *Store) Search(ctx context.Context, q Query) (Page, error) {
	limit := min(q.Limit, MaxLimit)
	if limit <= 0 {
		limit = defaultLimit
	}
	statement, args, err := q.statement(limit + 1)
	if err != nil {
		return Page{}, err
	}
	rows, err := s.read.QueryContext(ctx, statement, args...)
	if err != nil {
		return Page{}, fmt.Errorf("history: %w", err)
	}
	defer rows.Close()
	page := Page{Rows: []Row{}}
	var last cursor
	for rows.Next() {
		seq, r, err := scan(rows)
		if err != nil {
			return Page{}, fmt.Errorf("history: %w", err)
		}
		if len(page.Rows) == limit {
			page.Next = last.String()
			break
		}
		page.Rows, last = append(page.Rows, r), cursor{r.Time.UnixMilli(), seq}
	}
	if err := rows.Err(); err != nil {
		return Page{}, fmt.Errorf("history: %w", err)
	}
	return page, nil
}

// cursor is the place of a row in the order of a search.
type cursor struct{ time, seq int64 }

func (c cursor) String() string { return fmt.Sprintf("%d.%d", c.time, c.seq) }

func parseCursor(text string) (c cursor, err error) {
	at, seq, ok := strings.Cut(text, ".")
	if !ok {
		return c, ErrCursor
	}
	if c.time, err = strconv.ParseInt(at, 10, 64); err == nil {
		c.seq, err = strconv.ParseInt(seq, 10, 64)
	}
	if err != nil {
		return c, ErrCursor
	}
	return c, nil
}

// conditions are the WHERE of a statement with its arguments.
type conditions struct {
	texts []string
	args  []any
}

// add adds a condition, in which $ stands for the argument.
func (c *conditions) add(condition string, arg any) {
	c.args = append(c.args, arg)
	c.texts = append(c.texts, strings.ReplaceAll(condition, "$", "$"+strconv.Itoa(len(c.args))))
}

// statement returns the query for so many rows. What narrows the search most is looked up
// in its index, and one that finds a third of all rows is then left alone: "|| ”" keeps a
// column from being looked up.
func (q *Query) statement(limit int) (string, []any, error) {
	var c conditions
	if !q.Since.IsZero() {
		c.add("time >= $", q.Since.UnixMilli())
	}
	if !q.Until.IsZero() {
		c.add("time < $", q.Until.UnixMilli())
	}
	if q.Cursor != "" {
		at, err := parseCursor(q.Cursor)
		if err != nil {
			return "", nil, err
		}
		c.add("time <= $", at.time)
		c.args = append(c.args, at.seq)
		n := len(c.args)
		c.texts = append(c.texts, fmt.Sprintf("(time < $%d OR seq < $%d)", n-1, n))
	}
	indexed := q.lookups(&c)
	if q.Outcome != "" {
		if indexed == nil {
			c.add("outcome = $", string(q.Outcome))
		} else {
			c.add("outcome || '' = $", string(q.Outcome))
		}
	}
	for _, f := range []struct{ column, value string }{{"listener", q.Listener}, {"direction", q.Direction}, {"rule", q.Rule}} {
		if f.value != "" {
			c.add(f.column+" = $", f.value)
		}
	}
	if indexed == nil {
		indexed = []string{""}
	}
	return join(indexed, c.texts, limit), c.args, nil
}

// join returns the statement that finds the rows for which one of the indexed conditions
// and all others hold.
func join(indexed, others []string, limit int) string {
	const order = " ORDER BY time DESC, seq DESC LIMIT "
	var parts []string
	for _, condition := range indexed {
		all := others
		if condition != "" {
			all = append([]string{condition}, others...)
		}
		part := "SELECT " + columns + " FROM smimerelay_history"
		if len(all) > 0 {
			part += " WHERE " + strings.Join(all, " AND ")
		}
		parts = append(parts, part+order+strconv.Itoa(limit))
	}
	if len(parts) == 1 {
		return parts[0]
	}
	for i := range parts {
		parts[i] = fmt.Sprintf("SELECT * FROM (%s) AS part%d", parts[i], i)
	}
	return strings.Join(parts, " UNION ") + order + strconv.Itoa(limit)
}

// lookups returns the conditions that have an index of their own, one of which must hold;
// nil where there is none.
func (q *Query) lookups(c *conditions) (indexed []string) {
	argument := func(value string) string {
		c.args = append(c.args, value)
		return "$" + strconv.Itoa(len(c.args))
	}
	if q.Text != "" {
		exact := argument(text(q.Text))
		indexed = append(indexed, "id = "+exact, "(queue_id = "+exact+" AND queue_id <> '')")
		if id := bare(q.Text); strings.Contains(id, "@") {
			indexed = append(indexed, "(message_id = "+argument(text(id))+" AND message_id <> '')")
		}
		if a, err := address.Parse(q.Text); err == nil {
			who := argument(key(a))
			indexed = append(indexed, "sender_key = "+who, "recipient_key = "+who)
		}
	}
	switch who := key(q.Address); {
	case q.Address.IsNull():
	case indexed == nil:
		n := argument(who)
		indexed = []string{"sender_key = " + n, "recipient_key = " + n}
	default:
		n := argument(who)
		c.texts = append(c.texts, "(sender_key || '' = "+n+" OR recipient_key || '' = "+n+")")
	}
	return indexed
}
