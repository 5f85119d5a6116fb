package history

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
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
	found, err := s.search(ctx, q, limit+1)
	if err != nil {
		return Page{}, fmt.Errorf("history: %w", err)
	}
	page := Page{Rows: []Row{}}
	for i, r := range found {
		if i == limit {
			last := found[i-1]
			page.Next = cursor{last.Time.UnixMilli(), last.seq}.String()
			break
		}
		page.Rows = append(page.Rows, r.Row)
	}
	return page, nil
}

// search returns so many rows at most.
func (s *Store) search(ctx context.Context, q Query, limit int) (found []numbered, err error) {
	when, err := q.when()
	if err != nil {
		return nil, err
	}
	lookups := q.lookups()
	switch {
	case lookups == nil && q.class() != class{}:
		return s.searchClasses(ctx, q.class(), when, limit)
	case lookups == nil:
		var c conditions
		c.within(when)
		return s.find(ctx, c.statement(limit), c.args...)
	}
	c := q.conditions()
	c.within(when)
	err = periods(ctx, s.read, lookups, when, func(h hit) (bool, error) {
		rows, err := s.searchIn(ctx, h, c, limit)
		found = append(found, rows[:min(len(rows), limit-len(found))]...)
		return len(found) == limit, err
	})
	return found, err
}

// searchIn returns the rows of a period that one of the lookups finds, and for which the conditions
// hold, newest first, and so many of each lookup at most.
func (s *Store) searchIn(ctx context.Context, h hit, c conditions, limit int) (found []numbered, err error) {
	for _, l := range h.lookups {
		by := c.clone()
		by.add(l.column+"_ref = $", refIn(h.period, l.text))
		by.add(l.column+" = $", l.text)
		rows, err := s.find(ctx, by.statement(limit), by.args...)
		if err != nil {
			return nil, err
		}
		found = append(found, rows...)
	}
	if len(h.lookups) > 1 { // a row may be found by several
		found = newestFirst(found)
	}
	return found, nil
}

// newestFirst sorts rows, each of them once.
func newestFirst(rows []numbered) []numbered {
	slices.SortFunc(rows, func(a, b numbered) int { return cmp.Or(b.Time.Compare(a.Time), cmp.Compare(b.seq, a.seq)) })
	return slices.CompactFunc(rows, func(a, b numbered) bool { return a.seq == b.seq })
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

// argument adds one, and returns what stands for it.
func (c *conditions) argument(arg any) string {
	c.args = append(c.args, arg)
	return "$" + strconv.Itoa(len(c.args))
}

// add adds a condition, in which $ stands for the argument.
func (c *conditions) add(condition string, arg any) {
	c.texts = append(c.texts, strings.ReplaceAll(condition, "$", c.argument(arg)))
}

func (c *conditions) clone() conditions {
	return conditions{slices.Clone(c.texts), slices.Clone(c.args)}
}

// when is the time in which a search finds rows.
func (q *Query) when() (s span, err error) {
	s = always
	if !q.Since.IsZero() {
		s.since = max(q.Since.UnixMilli(), 0)
	}
	if !q.Until.IsZero() {
		s.before.time = q.Until.UnixMilli()
	}
	if q.Cursor != "" {
		at, err := parseCursor(q.Cursor)
		if err != nil {
			return s, err
		}
		if at.time < s.before.time {
			s.before = at
		}
	}
	return s, nil
}

// within adds that a row is in a time.
func (c *conditions) within(s span) {
	c.add("time >= $", s.since)
	c.add("time < $", s.until())
	if s.before.seq > 0 {
		c.texts = append(c.texts, "(time < "+c.argument(s.before.time)+" OR seq < "+c.argument(s.before.seq)+")")
	}
}

// conditions returns what must hold besides one of the lookups and the time.
func (q *Query) conditions() (c conditions) {
	for _, f := range q.class().fields() {
		if f.value != "" {
			c.add(f.column+" = $", f.value)
		}
	}
	if q.Text != "" && !q.Address.IsNull() {
		c.add("(sender_key = $ OR recipient_key = $)", key(q.Address))
	}
	return c
}

// statement finds so many rows at most for which the conditions hold, newest first.
func (c *conditions) statement(limit int) string {
	return "SELECT " + columns + " FROM smimerelay_history WHERE " + strings.Join(c.texts, " AND ") + " ORDER BY time DESC, seq DESC LIMIT " + strconv.Itoa(limit)
}

// byMessageID finds what has a Message-ID outside of the encryption, or inside.
func byMessageID(id string) []sought {
	return []sought{{"message_id", id}, {"protected_id", id}}
}

// lookups are what is found by its reference, one of which must hold; nil where there is
// none.
func (q *Query) lookups() (list []sought) {
	both := func(a address.Address) {
		list = append(list, sought{"sender_key", key(a)}, sought{"recipient_key", key(a)})
	}
	switch {
	case q.Text != "" && !strings.Contains(q.Text, "@"):
		list = append(list, sought{"id", text(q.Text)}, sought{"queue_id", text(q.Text)})
	case q.Text != "":
		list = append(list, byMessageID(text(bare(q.Text)))...)
		if a, err := address.Parse(q.Text); err == nil {
			both(a)
		}
	case !q.Address.IsNull():
		both(q.Address)
	}
	return list
}
