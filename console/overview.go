package console

import (
	"cmp"
	"net/http"
	"slices"
	"time"

	"github.com/smimerelay/smimerelay/console/api"
	"github.com/smimerelay/smimerelay/history"
)

// overviewView is how the gateway is, and what it did in the last day.
type overviewView struct {
	Health     api.Health
	Expiring   []api.Expiring
	Sources    []api.Directory
	Months     []month // nil where no certificate expires in them
	Revocation api.RevocationState
	Now        time.Time

	History  bool // whether there is one
	Bars     []bar
	Most     int64 // of a bar
	Outcomes []share
	Causes   []share
	Protect  []share
}

// bar is an hour of the plot.
type bar struct {
	Hour               time.Time
	X                  int
	Good, Waiting, Bad int64 // recipients
	// Heights and tops of the parts, of 100.
	GoodY, GoodH, WaitingY, WaitingH, BadY, BadH int64
}

// share is how many had something in common.
type share struct {
	Word    string
	Number  int64
	Percent int64
}

// hours is how much time the overview shows.
const hours = 24

func showOverview(v *visit) error {
	health, err := v.Operations.ShowHealth(v.r.Context(), &api.Empty{})
	if err != nil {
		return err
	}
	expiring, err := v.Operations.ListExpiring(v.r.Context(), &api.ExpiringQuery{})
	if err != nil {
		return err
	}
	sources, err := v.Operations.ListDirectories(v.r.Context(), &api.Empty{})
	if err != nil {
		return err
	}
	revocation, err := v.Operations.ShowRevocation(v.r.Context(), &api.Empty{})
	if err != nil {
		return err
	}
	now := v.Clock()
	ends, err := v.Operations.ListExpiries(v.r.Context(), &api.ExpiriesQuery{Days: 366})
	if err != nil {
		return err
	}
	view := overviewView{
		Health: health.Body, Expiring: expiring.Body.Items, Sources: sources.Body.Items, Revocation: revocation.Body,
		Months: timeline(ends.Body.Items, now), Now: now,
	}
	totals, err := v.Operations.ShowTotals(v.r.Context(), &api.TotalsQuery{Hours: hours})
	if code, _, _, known := api.Status(err); err != nil && (!known || code != http.StatusNotFound) {
		return err
	}
	if err == nil {
		view.History = true
		view.fill(totals.Body, now)
	}
	return v.show(http.StatusOK, "overview", "Overview", view)
}

// fill makes the plot and the shares of the totals.
func (o *overviewView) fill(t history.Totals, now time.Time) {
	first := now.UTC().Truncate(time.Hour).Add(-(hours - 1) * time.Hour)
	o.Bars = make([]bar, hours)
	for i := range o.Bars {
		o.Bars[i].Hour, o.Bars[i].X = first.Add(time.Duration(i)*time.Hour), i*20+2
	}
	for _, h := range t.Hours {
		i := int(h.Start.Sub(first) / time.Hour)
		if i < 0 || i >= hours {
			continue
		}
		for _, c := range h.Counts {
			if c.Kind == history.CountOutcome {
				o.Bars[i].add(history.Outcome(c.Word), c.Number)
			}
		}
	}
	for i := range o.Bars {
		o.Most = max(o.Most, o.Bars[i].total())
	}
	for i := range o.Bars {
		o.Bars[i].scale(max(o.Most, 1))
	}
	o.Outcomes, o.Causes, o.Protect = shares(t, history.CountOutcome), shares(t, history.CountCause), shares(t, history.CountProtection)
}

func (b *bar) add(outcome history.Outcome, n int64) {
	switch outcome {
	case history.Delivered, history.Edited, history.Returned:
		b.Good += n
	case history.Queued, history.Held, history.Deferred, history.Quarantined:
		b.Waiting += n
	default:
		b.Bad += n
	}
}

func (b *bar) total() int64 { return b.Good + b.Waiting + b.Bad }

func (b *bar) scale(most int64) {
	b.GoodH, b.WaitingH, b.BadH = height(b.Good, most), height(b.Waiting, most), height(b.Bad, most)
	b.GoodY = 100 - b.GoodH
	b.WaitingY = b.GoodY - b.WaitingH
	b.BadY = b.WaitingY - b.BadH
}

// shares are the numbers by word, the greatest first.
func shares(t history.Totals, kind history.CountKind) []share {
	var list []share
	var all int64
	for word, n := range t.Sum(kind) {
		if n > 0 {
			list, all = append(list, share{Word: word, Number: n}), all+n
		}
	}
	for i := range list {
		list[i].Percent = (list[i].Number*100 + all/2) / all
	}
	slices.SortFunc(list, func(a, b share) int { return cmp.Or(cmp.Compare(b.Number, a.Number), cmp.Compare(a.Word, b.Word)) })
	return list
}
