package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/history"
	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/relay/queue"
	"github.com/smimerelay/smimerelay/service"
)

type queueCmd struct {
	List   queueListCmd   `cmd:"" help:"List queued deliveries, oldest first."`
	Show   queueShowCmd   `cmd:"" help:"Show one delivery, or its message."`
	Retry  queueRetryCmd  `cmd:"" help:"Retry deliveries now."`
	Hold   queueHoldCmd   `cmd:"" help:"Put deliveries on hold."`
	Remove queueRemoveCmd `cmd:"" help:"Delete deliveries or held messages from the queue without a delivery report."`
	Stats  queueStatsCmd  `cmd:"" help:"Count what is in the queue, by status and route."`

	Held    queueHeldCmd    `cmd:"" help:"List messages held for missing certificates or in quarantine, oldest first."`
	Release queueReleaseCmd `cmd:"" help:"Recheck held messages now, release them without encryption, deliver messages in quarantine, or attempt deliveries again that are on hold."`
	Return  queueReturnCmd  `cmd:"" help:"Return held messages to their senders, with a delivery report."`
}

// queueFlags say which queue.
type queueFlags struct {
	Config string `default:"${config}" placeholder:"FILE" help:"The configuration file, which names the queue."`
}

// open opens the queue, which a gateway may be working on.
func (f *queueFlags) open() (*queue.Store, error) {
	c, problems := config.Load(f.Config)
	if len(problems) > 0 {
		return nil, problems
	}
	place, err := service.QueuePlace(c)
	if err != nil {
		return nil, unusable(err)
	}
	s, err := queue.OpenStore(background(), place)
	if err != nil {
		return nil, unusable(service.QueueTrouble(c, err).Error(f.Config))
	}
	return s, nil
}

// withQueue does something with the queue and closes it.
func (f *queueFlags) withQueue(do func(*queue.Store) error) error {
	s, err := f.open()
	if err != nil {
		return err
	}
	err = do(s)
	if errors.Is(err, queue.ErrNotFound) {
		err = negative(fmt.Errorf("%w; see smimerelay queue list and queue held", err))
	}
	return errors.Join(err, s.Close())
}

type queueListCmd struct {
	queueFlags
	queueFilter
	JSON bool `name:"json" help:"Print the list as JSON."`
}

// Help is shown below the summary.
func (queueListCmd) Help() string {
	return `Can be used while the gateway is running.`
}

func (queueListCmd) examples() string {
	return `smimerelay queue list
		smimerelay queue list --status deferred --recipient @example.net
		smimerelay queue list --json | jq '.[] | select(.attempts > 3) | .id'`
}

// Run lists the deliveries.
func (c *queueListCmd) Run(a *app) error {
	return c.withQueue(func(s *queue.Store) error {
		entries, err := s.List(background(), c.filter(a.clock()))
		if err != nil {
			return err
		}
		if c.JSON {
			return a.printJSON(entries)
		}
		p := a.page()
		for _, e := range entries {
			p.entry(e, a.clock())
		}
		held, err := s.CountHeld(background())
		if err != nil {
			return err
		}
		if !c.empty() {
			p.line("%d found", len(entries))
			return p.err
		}
		p.line("%d in the queue", len(entries))
		p.lineIf(held.Waiting > 0, fmt.Sprintf("%d held; see smimerelay queue held", held.Waiting))
		p.lineIf(held.Quarantined > 0, fmt.Sprintf("%d in quarantine; see smimerelay queue held", held.Quarantined))
		return p.err
	})
}

type queueShowCmd struct {
	queueFlags
	Message bool   `help:"Print the message instead."`
	JSON    bool   `name:"json" help:"Print JSON."`
	ID      string `arg:"" name:"id" help:"Number of the delivery, from queue list, or of the held message, from queue held."`
}

func (queueShowCmd) examples() string {
	return `smimerelay queue show 17
		smimerelay queue show --message h3 > message.eml`
}

// Run shows one delivery.
func (c *queueShowCmd) Run(a *app) error {
	id, held, err := queueID(c.ID)
	if err != nil {
		return err
	}
	return c.withQueue(func(s *queue.Store) error {
		p := a.page()
		if held {
			if c.Message {
				return s.WriteHeld(background(), queue.HoldID(id), a.stdout)
			}
			e, err := s.ShowHeld(background(), queue.HoldID(id))
			return c.print(a, p, err, e, func() { p.held(e, a.clock()) })
		}
		if c.Message {
			return s.WriteMessage(background(), id, a.stdout)
		}
		e, err := s.Show(background(), id)
		return c.print(a, p, err, e, func() { p.entry(e, a.clock()) })
	})
}

// print prints what was found in the form that was asked for.
func (c *queueShowCmd) print(a *app, p *page, err error, entry any, text func()) error {
	switch {
	case err != nil:
		return err
	case c.JSON:
		return a.printJSON(entry)
	}
	text()
	return p.err
}

// queueID reads the number of a delivery, or that of a held message.
func queueID(s string) (id int64, held bool, err error) {
	if id, ok := queue.ParseHoldID(s); ok {
		return int64(id), true, nil
	}
	id, err = strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, false, unusable(fmt.Errorf("%q is not a queue number; use one such as 17, from queue list, or h3, from queue held", s))
	}
	return id, false, nil
}

type queueRemoveCmd struct {
	queueFlags
	queueFilter
	Reason string   `placeholder:"TEXT" help:"Why; the audit log and the history have it with your name."`
	All    bool     `help:"All deliveries that the other flags choose; without others, all. Held messages are only removed by number."`
	ID     []string `arg:"" optional:"" name:"id" help:"Numbers of deliveries, from queue list, or of held messages, from queue held."`
}

func (queueRemoveCmd) examples() string {
	return `smimerelay queue remove 17 h3
		smimerelay queue remove --reason "sent twice" --sender newsletter@example.org --status deferred`
}

// Run takes deliveries out of the queue.
func (c *queueRemoveCmd) Run(a *app) error {
	if (c.All || !c.empty()) == (len(c.ID) > 0) {
		return unusable(errors.New("queue remove: use either numbers or --all, or flags such as --recipient"))
	}
	return c.withQueue(func(s *queue.Store) error {
		h, err := c.history()
		if err != nil {
			return err
		}
		if h != nil {
			defer h.Close() // what is written is there
		}
		if len(c.ID) > 0 {
			for _, id := range c.ID {
				if err := c.remove(a, s, h, id); err != nil {
					return err
				}
			}
			return nil
		}
		return c.removeChosen(a, s, h)
	})
}

// removeChosen removes the deliveries that the flags choose.
func (c *queueRemoveCmd) removeChosen(a *app, s *queue.Store, h *history.Store) error {
	ids, err := c.ids(s, a.clock())
	if err != nil {
		return err
	}
	n := 0
	for _, id := range ids {
		err := c.remove(a, s, h, strconv.FormatInt(id, 10))
		switch {
		case errors.Is(err, queue.ErrNotFound): // it left in the meantime
		case err != nil:
			return err
		default:
			n++
		}
	}
	p := a.page()
	p.line("%d in all", n)
	return p.err
}

// remove takes a delivery or a held message out of the queue, and has the history say so,
// where there is one.
func (c *queueRemoveCmd) remove(a *app, s *queue.Store, h *history.Store, id string) error {
	n, held, err := queueID(id)
	var dropped queue.Dropped
	switch {
	case err != nil:
	case held:
		dropped, err = s.DropHeld(background(), queue.HoldID(n))
	default:
		dropped, err = s.Drop(background(), n)
	}
	if err != nil {
		return err
	}
	if h != nil {
		r := history.Removal{ID: dropped.ID, Recipients: dropped.Recipients, Since: dropped.Since, By: whoami(), Reason: c.Reason}
		if err := h.Remove(background(), r, a.clock()); err != nil {
			return fmt.Errorf("%s was removed from the queue, but is not noted in the history: %w", id, err)
		}
	}
	p := a.page()
	p.line("%s removed", id)
	return p.err
}

// history opens the history, which says what was removed, and by whom; nil if there is none.
func (c *queueRemoveCmd) history() (*history.Store, error) {
	conf, problems := config.Load(c.Config)
	if len(problems) > 0 {
		return nil, problems
	}
	place, ok, err := service.HistoryPlace(conf)
	if err != nil || !ok {
		return nil, err
	}
	h, err := history.OpenExisting(background(), place)
	if errors.Is(err, history.ErrNone) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("nothing was removed, because the history cannot be opened: %w; history.keep = \"0s\" turns it off", err)
	}
	return h, nil
}

// entry writes a delivery: a line for it and one for each recipient.
func (p *page) entry(e queue.Entry, now time.Time) {
	p.line("%-6d %s  %8d octets  from <%s>  attempts %d, %s",
		e.ID, e.Created.Format(time.RFC3339), e.Size, e.Sender, e.Attempts, entryState(e, now))
	for _, r := range e.Recipients {
		text := "to <" + r.Address + ">"
		if r.Error != "" {
			text += ": " + r.Error
		}
		p.line("       %s", strings.TrimSpace(text))
	}
}

func entryState(e queue.Entry, now time.Time) string {
	state := nextAttempt(e.Next, now)
	switch e.Status {
	case queue.OnHold:
		state = "on hold"
	case queue.Waiting:
		state = "waiting for its turn"
	case queue.New, queue.Deferred, queue.Active:
	}
	if e.Destination != "" {
		state += ", by " + e.Destination
	}
	return state
}

func nextAttempt(next, now time.Time) string {
	switch {
	case next.IsZero():
		return "one in progress"
	case !next.After(now):
		return "next now"
	}
	return "next in " + next.Sub(now).Round(time.Second).String()
}
