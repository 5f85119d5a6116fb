package history

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
)

// The class of a row is its rule, listener, direction and outcome as one number, made of hashes
// of them. There are few classes, however many rows there are, so that a search for some of the
// four first finds which classes there are, and then reads the newest rows of those that it asks
// for: it does not go through others, also where the four rarely meet. Texts may share a hash, so
// the texts themselves are compared, too.
type class struct{ rule, listener, direction, outcome string }

func (r *Row) class() class { return class{r.Rule, r.Listener, r.Direction, string(r.Outcome)} }

func (q *Query) class() class { return class{q.Rule, q.Listener, q.Direction, string(q.Outcome)} }

// classField is one of the four with its column, and how many bits its hash has.
type classField struct {
	column, value string
	bits          int
}

// outcomeBits are the last bits of a class, those of the outcome.
const outcomeBits = 12

// fields are 63 bits: a search by a rule, of which there may be many, finds its classes together.
func (c class) fields() [4]classField {
	return [...]classField{{"rule", c.rule, 28}, {"listener", c.listener, 19}, {"direction", c.direction, 4}, {"outcome", c.outcome, outcomeBits}}
}

// number is what the column has.
func (c class) number() (n int64) {
	for _, f := range c.fields() {
		n = n<<f.bits | hash(f.value, f.bits)
	}
	return n
}

// mask has the bits of those that are not "".
func (c class) mask() (n int64) {
	for _, f := range c.fields() {
		n <<= f.bits
		if f.value != "" {
			n |= 1<<f.bits - 1
		}
	}
	return n
}

// classBits are all bits of a class.
const classBits = 1<<63 - 1

// staleClass is the condition of a row that has the class of another outcome than its own: a node
// of an earlier release, which knows of no class, has changed it since. An index, which such a node
// keeps as well, has these rows and no others; its condition has to be the same text.
func staleClass() string {
	const of = 1<<outcomeBits - 1
	text := fmt.Sprintf("class & %d <> CASE outcome", of)
	for _, o := range Outcomes {
		text += fmt.Sprintf(" WHEN '%s' THEN %d", o, hash(string(o), outcomeBits))
	}
	return text + fmt.Sprintf(" ELSE class & %d END", of)
}

// newestOf is a class that there is, and the time of its newest row.
type newestOf struct{ class, time int64 }

// existing goes from one class that has rows to the next, from $1 to $2, and returns those whose
// bits in $3 are $4, with the time of the last row before the time $5 and the number $6. The
// order by the class, which is one, leaves PostgreSQL but the one index to follow: for a class of
// which it knows nothing it would go through all rows by time.
const existing = `WITH RECURSIVE found (n) AS (
	SELECT (SELECT min(class) FROM smimerelay_history WHERE class >= $1)
	UNION ALL
	SELECT (SELECT min(class) FROM smimerelay_history WHERE class > found.n) FROM found WHERE found.n < $2
) SELECT n, (SELECT time FROM smimerelay_history WHERE class >= found.n AND (class, time, seq) < (found.n, $5, $6)
	ORDER BY class DESC, time DESC, seq DESC LIMIT 1) FROM found WHERE n <= $2 AND (n & $3) = $4`

// classes returns those that a search asks for and that have a row in its time, the one with the
// newest row first.
func (s *Store) classes(ctx context.Context, c class, when span) (list []newestOf, err error) {
	mask := c.mask()
	want := c.number() & mask
	rows, err := s.read.QueryContext(ctx, existing, want, want|classBits&^mask, mask, want, when.before.time, when.before.seq)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var n int64
		var newest sql.NullInt64
		if err := rows.Scan(&n, &newest); err != nil {
			return nil, err
		}
		if newest.Valid && newest.Int64 >= when.since {
			list = append(list, newestOf{n, newest.Int64})
		}
	}
	slices.SortFunc(list, func(a, b newestOf) int { return cmp.Compare(b.time, a.time) })
	return list, rows.Err()
}

// searchClasses returns the rows of the classes of a search, newest first, and so many at most.
// Rows get their class meanwhile, and keep it: what has none yet is looked for before the classes
// are, so that each row is found in one of the places, or in both.
func (s *Store) searchClasses(ctx context.Context, c class, when span, limit int) ([]numbered, error) {
	found, err := s.searchUnclassed(ctx, c, when, limit)
	if err != nil {
		return nil, err
	}
	return s.addClassed(ctx, c, when, limit, found)
}

// addClassed adds the rows that have a class to those found without. What is older than as many rows
// that were found already is not read.
func (s *Store) addClassed(ctx context.Context, c class, when span, limit int, found []numbered) ([]numbered, error) {
	list, err := s.classes(ctx, c, when)
	if err != nil {
		return nil, err
	}
	for _, l := range list {
		if len(found) == limit {
			when.since = max(when.since, found[limit-1].Time.UnixMilli())
		}
		if l.time < when.since {
			break
		}
		rows, err := s.find(ctx, c.statement(limit), l.class, when.since, when.before.time, when.before.seq, c.rule, c.listener, c.direction, c.outcome)
		if err != nil {
			return nil, err
		}
		found = newestFirst(append(found, rows...))
		found = found[:min(len(found), limit)]
	}
	return found, nil
}

// anyUnclassed reports whether there are rows without a class. They are at one end of the index,
// where PostgreSQL, which may know nothing of the class, looks only for what is asked for in its order.
func (s *Store) anyUnclassed(ctx context.Context) (bool, error) {
	statement := `SELECT class FROM smimerelay_history ORDER BY class LIMIT 1`
	if s.shared {
		statement = `SELECT class FROM smimerelay_history ORDER BY class DESC LIMIT 1`
	}
	var end sql.NullInt64
	err := s.read.QueryRowContext(ctx, statement).Scan(&end)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil && !end.Valid, err
}

// searchUnclassed returns such rows among those that have no class yet: there are some for a while
// after an upgrade. What they are ordered by is as for existing.
func (s *Store) searchUnclassed(ctx context.Context, c class, when span, limit int) ([]numbered, error) {
	if some, err := s.anyUnclassed(ctx); err != nil || !some {
		return nil, err
	}
	text := `SELECT ` + columns + ` FROM smimerelay_history WHERE ` + string(lackClass) + ` AND time >= $1 AND (time, seq) < ($2, $3)` + c.conditions(4) +
		fmt.Sprintf(" ORDER BY class DESC, time DESC, seq DESC LIMIT %d", limit)
	return s.find(ctx, text, when.since, when.before.time, when.before.seq, c.rule, c.listener, c.direction, c.outcome)
}

// conditions are those on the texts, which are the arguments from a number on.
func (c class) conditions(from int) (text string) {
	for i, f := range c.fields() {
		text += fmt.Sprintf(" AND ($%d = '' OR %s = $%[1]d)", i+from, f.column)
	}
	return text
}

// statement finds rows of the class $1 from the time $2 to before the time $3 and the number $4.
// What it is ordered by is as for existing.
func (c class) statement(limit int) string {
	return `SELECT ` + columns + ` FROM smimerelay_history WHERE (class, time) >= ($1, $2) AND (class, time, seq) < ($1, $3, $4)` + c.conditions(5) +
		fmt.Sprintf(" ORDER BY class DESC, time DESC, seq DESC LIMIT %d", limit)
}
