package history

import (
	"context"
	"database/sql"
	"fmt"
	"hash/crc32"
	"math"
	"strings"
)

// A reference is what the indexes have for a text that rows are found by: the period in
// which the row was made, and a hash of the text. What is written now is all in one place of
// each index, however many rows there are: few pages change. A search looks into one period
// after the other, the newest first, and skips those without a row. Texts may share a
// reference, so the text itself is compared, too.
const (
	periodMillis = 1 << 22 // 70 minutes
	hashBits     = 28
)

// ref is the reference of a text in a row of a time.
func ref(millis int64, text string) int64 { return refIn(millis/periodMillis, text) }

func refIn(period int64, text string) int64 { return period<<hashBits | hash(text, hashBits) }

// refOrNull is that of a text of which "" is none.
func refOrNull(millis int64, text string) any {
	if text == "" {
		return nil
	}
	return ref(millis, text)
}

// hash is the first bits of the CRC-32 (IEEE) of a text. Texts are short, and hash/crc32 would
// have each of them copied.
func hash(text string, bits int) int64 {
	crc := ^uint32(0)
	for i := range len(text) {
		crc = crc32.IEEETable[byte(crc)^text[i]] ^ crc>>8
	}
	return int64(^crc >> (32 - bits))
}

// refs are the references of a row, in the order of refColumns.
func refs(millis int64, id, queueID, messageID, sender, recipient string) [5]any {
	return [...]any{
		ref(millis, id), refOrNull(millis, queueID), refOrNull(millis, messageID), ref(millis, sender), ref(millis, recipient),
	}
}

const refColumns = `id_ref, queue_id_ref, message_id_ref, sender_key_ref, recipient_key_ref`

// sought is a text in a column that has references.
type sought struct{ column, text string }

// queryer is a database or a transaction.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// span is a time in milliseconds: from since to before a place in the order of a search.
type span struct {
	since  int64
	before cursor
}

// always has every time.
var always = span{before: cursor{time: math.MaxInt64}}

// until is the first time that has no part in it.
func (s span) until() int64 {
	if s.before.seq > 0 {
		return max(s.before.time, s.before.time+1)
	}
	return s.before.time
}

// hit is a period in which there may be a row for some of the lookups.
type hit struct {
	period  int64
	lookups []sought
}

// mostHits is how many periods one statement looks for at most.
const mostHits = 64

// periods calls do for each period of a span in which there may be a row for one of the
// lookups, newest first, until it reports that this is enough. The first is looked for alone,
// for that is often enough, and then twice as many each time.
func periods(ctx context.Context, from queryer, lookups []sought, s span, do func(hit) (enough bool, err error)) error {
	for limit := 1; ; limit = min(2*limit, mostHits) {
		hits, err := findHits(ctx, from, lookups, s, limit)
		if err != nil {
			return err
		}
		for _, h := range hits {
			if enough, err := do(h); enough || err != nil {
				return err
			}
			s.before = cursor{time: h.period * periodMillis}
		}
		if len(hits) < limit {
			return nil
		}
	}
}

// findHits returns the newest periods of a span that may have rows for one of the lookups.
func findHits(ctx context.Context, from queryer, lookups []sought, s span, limit int) (hits []hit, err error) {
	args := []any{s.until(), s.since / periodMillis, limit}
	for _, l := range lookups {
		args = append(args, hash(l.text, hashBits))
	}
	rows, err := from.QueryContext(ctx, periodStatement(lookups), args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var h hit
		var which int
		if err := rows.Scan(&h.period, &which); err != nil {
			return nil, err
		}
		for i, l := range lookups {
			if which&(1<<i) != 0 {
				h.lookups = append(h.lookups, l)
			}
		}
		hits = append(hits, h)
	}
	return hits, rows.Err()
}

// periodStatement finds the newest $3 periods before $1 milliseconds, and not before the period
// $2, in which lookups may have a row, and which these are, as bits. It goes from one period that
// has rows to the next.
func periodStatement(lookups []sought) string {
	var which []string
	for i, l := range lookups {
		which = append(which, fmt.Sprintf("CASE WHEN EXISTS (SELECT 1 FROM smimerelay_history WHERE %s_ref = period.n * %d + $%d) THEN %d ELSE 0 END",
			l.column, 1<<hashBits, i+4, 1<<i))
	}
	return fmt.Sprintf(`WITH RECURSIVE period (n) AS (
		SELECT (SELECT max(time) FROM smimerelay_history WHERE time < $1) / %[1]d
		UNION ALL
		SELECT (SELECT max(time) FROM smimerelay_history WHERE time < period.n * %[1]d) / %[1]d FROM period WHERE period.n > $2
	) SELECT n, which FROM (SELECT n, %[2]s AS which FROM period WHERE n >= $2) AS found WHERE which > 0 LIMIT $3`,
		periodMillis, strings.Join(which, " + "))
}
