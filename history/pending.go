package history

import (
	"slices"
	"time"
)

// pending are rows that wait to be written, oldest first.
type pending struct {
	list []pendingRow
	by   map[rowKey]*Row // the newest of a message and a recipient
}

// pendingRow is a row that has waited since a time; zero is long enough.
type pendingRow struct {
	*Row
	key   rowKey
	since time.Time
}

// key is by what a row is found.
func (r *Row) key() rowKey { return rowKey{r.ID, key(r.Recipient)} }

func (p *pending) add(r *Row, k rowKey, since time.Time) {
	p.list = append(p.list, pendingRow{r, k, since})
	p.by[k] = r
}

// change makes a change, if its row is there.
func (p *pending) change(c Change) bool {
	row, ok := p.by[rowKey{c.ID, key(c.Recipient)}]
	if ok {
		row.apply(c)
	}
	return ok
}

// take takes so many rows out at most, the oldest first. What is queued, and has been there
// since a time or less long, stays; the zero time has all taken. What hid its subject never
// stays: another node may get the answer to it.
func (p *pending) take(most int, before time.Time) (rows []*Row) {
	rows = make([]*Row, 0, min(most, len(p.list)))
	kept := p.list[:0]
	for _, row := range p.list {
		held := row.Outcome == Queued && !row.HiddenSubject && !before.IsZero() && row.since.After(before)
		if held || len(rows) == most {
			kept = append(kept, row)
			continue
		}
		rows = append(rows, row.Row)
		if p.by[row.key] == row.Row {
			delete(p.by, row.key)
		}
	}
	clear(p.list[len(kept):])
	p.list = kept
	return rows
}

// putBack puts rows that were taken out before all others.
func (p *pending) putBack(rows []*Row) {
	list := make([]pendingRow, 0, len(rows)+len(p.list))
	for _, r := range rows {
		k := r.key()
		list = append(list, pendingRow{Row: r, key: k})
		if p.by[k] == nil {
			p.by[k] = r
		}
	}
	p.list = append(list, p.list...)
}

// hid is AnyHidSubject of them.
func (p *pending) hid(messageIDs []string) bool {
	return slices.ContainsFunc(p.list, func(row pendingRow) bool { return row.hidSubject(messageIDs) })
}

// early are changes to rows that do not wait here: they are stored, or another node has them, or
// they are still to come.
type early struct {
	by     map[rowKey][]waiting
	number int
}

// waiting is a change that has been there since a time.
type waiting struct {
	Change
	since time.Time
}

func (w *waiting) key() rowKey { return rowKey{w.ID, key(w.Recipient)} }

func (e *early) add(w waiting) {
	k := w.key()
	e.by[k] = append(e.by[k], w)
	e.number++
}

// of takes out the changes to a row, in their order.
func (e *early) of(k rowKey) []waiting {
	if e.number == 0 {
		return nil
	}
	changes := e.by[k]
	delete(e.by, k)
	e.number -= len(changes)
	return changes
}

// take takes all out, in their order.
func (e *early) take() (changes []waiting) {
	for _, of := range e.by {
		changes = append(changes, of...)
	}
	clear(e.by)
	e.number = 0
	slices.SortStableFunc(changes, func(a, b waiting) int { return a.since.Compare(b.since) })
	return changes
}

// putBack puts changes that were taken out before those that came meanwhile.
func (e *early) putBack(changes []waiting) {
	for _, w := range slices.Backward(changes) {
		k := w.key()
		e.by[k] = slices.Insert(e.by[k], 0, w)
	}
	e.number += len(changes)
}
