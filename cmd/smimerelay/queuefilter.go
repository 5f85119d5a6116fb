package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/smimerelay/smimerelay/relay/queue"
)

// queueFilter are the flags that choose deliveries.
type queueFilter struct {
	Sender    string        `placeholder:"ADDRESS" help:"Only deliveries from this sender; @DOMAIN is all of a domain, <> the null sender."`
	Recipient string        `placeholder:"ADDRESS" help:"Only deliveries with this recipient; @DOMAIN is all of a domain."`
	Status    string        `enum:",new,deferred,active,waiting,hold" default:"" placeholder:"STATUS" help:"Only deliveries with this status: new, deferred, active, waiting (for its turn, by the limits of its route) or hold."`
	Route     string        `placeholder:"NAME" help:"Only deliveries by this route, as queue list shows it, with or without a domain."`
	Older     time.Duration `placeholder:"DURATION" help:"Only deliveries that were stored longer ago, such as 90m or 48h."`
}

func (f *queueFilter) filter(now time.Time) queue.Filter {
	q := queue.Filter{Sender: f.Sender, Recipient: f.Recipient, Status: queue.Status(f.Status), Destination: f.Route}
	if f.Older > 0 {
		q.Before = now.Add(-f.Older)
	}
	return q
}

// empty reports whether no flag is given, so that all deliveries are chosen.
func (f *queueFilter) empty() bool { return *f == queueFilter{} }

// ids returns the numbers of the deliveries that are chosen.
func (f *queueFilter) ids(s *queue.Store, now time.Time) (ids []int64, err error) {
	entries, err := s.List(background(), f.filter(now))
	for _, e := range entries {
		ids = append(ids, e.ID)
	}
	return ids, err
}

// queueChoice are the flags and numbers by which a verb that changes something chooses
// deliveries.
type queueChoice struct {
	queueFlags
	queueFilter
	All bool    `help:"All deliveries that the other flags choose; without others, all."`
	ID  []int64 `arg:"" optional:"" name:"id" help:"Numbers of deliveries, from queue list."`
}

// change does something with each of the chosen deliveries, and says with how many it
// did and with how many it could not.
func (c *queueChoice) change(a *app, verb string, do func(*queue.Store, int64) (bool, error), done, not string) error {
	if (c.All || !c.empty()) == (len(c.ID) > 0) {
		return unusable(fmt.Errorf("queue %s: use either numbers or --all, or flags such as --recipient", verb))
	}
	return c.withQueue(func(s *queue.Store) error {
		ids := c.ID
		if len(ids) == 0 {
			var err error
			if ids, err = c.ids(s, a.clock()); err != nil {
				return err
			}
		}
		n := 0
		for _, id := range ids {
			ok, err := do(s, id)
			if errors.Is(err, queue.ErrNotFound) && len(c.ID) == 0 {
				continue // it left in the meantime
			}
			if err != nil {
				return err
			}
			if ok {
				n++
			}
		}
		p := a.page()
		p.line("%d %s", n, done)
		p.lineIf(n < len(ids), fmt.Sprintf("%d %s", len(ids)-n, not))
		return p.err
	})
}

type queueRetryCmd struct{ queueChoice }

// Help is shown below the summary.
func (queueRetryCmd) Help() string {
	return `The running gateway retries them at once; the command needs it to be running. New mail still goes first.`
}

func (queueRetryCmd) examples() string {
	return `smimerelay queue retry 17 18
		smimerelay queue retry --recipient @example.net
		smimerelay queue retry --all`
}

// Run has deliveries tried again; a gateway must be working on the queue.
func (c *queueRetryCmd) Run(a *app) error {
	return c.change(a, "retry", func(s *queue.Store, id int64) (bool, error) { return s.Retry(background(), id) },
		"will be retried now", "already in progress, or on hold")
}

type queueHoldCmd struct{ queueChoice }

// Help is shown below the summary.
func (queueHoldCmd) Help() string {
	return `Deliveries on hold are not attempted until queue release releases them. Their lifetime goes on: what is older than it gets one more attempt then.`
}

func (queueHoldCmd) examples() string {
	return `smimerelay queue hold 17
		smimerelay queue hold --sender newsletter@example.org`
}

// Run puts deliveries on hold.
func (c *queueHoldCmd) Run(a *app) error {
	return c.change(a, "hold", func(s *queue.Store, id int64) (bool, error) { return s.Hold(background(), id) },
		"on hold", "already in progress; try again")
}

type queueStatsCmd struct {
	queueFlags
	queueFilter
	JSON bool `name:"json" help:"Print JSON."`
}

func (queueStatsCmd) examples() string {
	return `smimerelay queue stats
		smimerelay queue stats --older 4h
		smimerelay queue stats --json | jq .status.deferred`
}

// queueStats is what is in the queue, in numbers.
type queueStats struct {
	Deliveries  int                  `json:"deliveries"`
	Octets      int64                `json:"octets"` // of messages, each counted for each of its deliveries
	Oldest      *time.Time           `json:"oldest"`
	Status      map[queue.Status]int `json:"status"`
	Routes      map[string]int       `json:"routes"`
	Held        int                  `json:"held"`
	Quarantined int                  `json:"quarantined"`
}

// Run counts what is in the queue.
func (c *queueStatsCmd) Run(a *app) error {
	return c.withQueue(func(s *queue.Store) error {
		f := c.filter(a.clock())
		entries, err := s.List(background(), f)
		if err != nil {
			return err
		}
		held, err := s.Held(background())
		if err != nil {
			return err
		}
		n := countEntries(entries)
		n.countHeld(held, f)
		if c.JSON {
			return a.printJSON(n)
		}
		return a.page().stats(n, a.clock())
	})
}

func countEntries(entries []queue.Entry) queueStats {
	n := queueStats{Deliveries: len(entries), Routes: map[string]int{}, Status: map[queue.Status]int{}}
	for _, s := range queue.Statuses {
		n.Status[s] = 0
	}
	for _, e := range entries {
		n.Octets += int64(e.Size)
		n.Status[e.Status]++
		n.Routes[e.Destination]++
		if n.Oldest == nil || e.Created.Before(*n.Oldest) {
			n.Oldest = &e.Created
		}
	}
	return n
}

func (n *queueStats) countHeld(held []queue.HeldEntry, f queue.Filter) {
	for i := range held {
		switch {
		case !f.MatchesHeld(&held[i]):
		case held[i].Quarantined:
			n.Quarantined++
		default:
			n.Held++
		}
	}
}

// stats writes the numbers, one a line.
func (p *page) stats(n queueStats, now time.Time) error {
	p.line("%d in the queue, %d octets", n.Deliveries, n.Octets)
	for _, s := range queue.Statuses {
		p.line("%7d %s", n.Status[s], s)
	}
	if n.Oldest != nil {
		p.line("the oldest came %s ago", now.Sub(*n.Oldest).Round(time.Second))
	}
	for _, name := range slices.Sorted(maps.Keys(n.Routes)) {
		p.line("%7d by %s", n.Routes[name], cmp.Or(name, "the default route"))
	}
	p.line("%d held, %d in quarantine", n.Held, n.Quarantined)
	return p.err
}
