package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/relay/queue"
)

type queueCmd struct {
	List  queueListCmd  `cmd:"" help:"List what waits for delivery, oldest first."`
	Show  queueShowCmd  `cmd:"" help:"Show one delivery, or its message."`
	Retry queueRetryCmd `cmd:"" help:"Try deliveries again now."`
	Drop  queueDropCmd  `cmd:"" help:"Take a delivery out of the queue. Nobody is told."`
}

// queueFlags say which queue.
type queueFlags struct {
	Config string `default:"${config}" placeholder:"FILE" help:"The configuration file, which says where the queue is."`
}

// open opens the queue, which a gateway may be working on.
func (f *queueFlags) open() (*queue.Store, error) {
	c, problems := config.Load(f.Config)
	if len(problems) > 0 {
		return nil, problems
	}
	s, err := queue.OpenStore(c.Queue.Path)
	if err != nil {
		return nil, unusable(fmt.Errorf("%w; check queue.path in %s and who you are", err, f.Config))
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
		err = negative(fmt.Errorf("%w; see smimerelay queue list", err))
	}
	return errors.Join(err, s.Close())
}

type queueListCmd struct {
	queueFlags
	JSON bool `name:"json" help:"Print the list as JSON."`
}

// Help is shown below the summary.
func (queueListCmd) Help() string {
	return `Reads the queue also while a gateway works on it.`
}

func (queueListCmd) examples() string {
	return `smimerelay queue list
		smimerelay queue list --json | jq '.[] | select(.attempts > 3) | .id'`
}

// Run lists the deliveries.
func (c *queueListCmd) Run(a *app) error {
	return c.withQueue(func(s *queue.Store) error {
		entries, err := s.List(background())
		if err != nil {
			return err
		}
		if c.JSON {
			return a.printJSON(entries)
		}
		p := &page{w: a.stdout}
		for _, e := range entries {
			p.entry(e, a.clock())
		}
		p.line("%d in the queue", len(entries))
		return p.err
	})
}

type queueShowCmd struct {
	queueFlags
	Message bool  `help:"Print the message itself instead."`
	JSON    bool  `name:"json" help:"Print it as JSON."`
	ID      int64 `arg:"" name:"id" help:"Number of the delivery, from queue list."`
}

func (queueShowCmd) examples() string {
	return `smimerelay queue show 17
		smimerelay queue show --message 17 > message.eml`
}

// Run shows one delivery.
func (c *queueShowCmd) Run(a *app) error {
	return c.withQueue(func(s *queue.Store) error {
		e, raw, err := s.Show(background(), c.ID)
		switch {
		case err != nil:
			return err
		case c.Message:
			_, err := a.stdout.Write(raw)
			return err
		case c.JSON:
			return a.printJSON(e)
		}
		p := &page{w: a.stdout}
		p.entry(e, a.clock())
		return p.err
	})
}

type queueRetryCmd struct {
	queueFlags
	All bool    `help:"Try all of them."`
	ID  []int64 `arg:"" optional:"" name:"id" help:"Numbers of deliveries, from queue list."`
}

// Help is shown below the summary.
func (queueRetryCmd) Help() string {
	return `The gateway that works on the queue tries them at once; it must be running.`
}

func (queueRetryCmd) examples() string {
	return `smimerelay queue retry 17 18
		smimerelay queue retry --all`
}

// Run has deliveries tried again; a gateway must be working on the queue.
func (c *queueRetryCmd) Run(a *app) error {
	if c.All == (len(c.ID) > 0) {
		return unusable(errors.New("queue retry: give either numbers or --all"))
	}
	return c.withQueue(func(s *queue.Store) error {
		ids := c.ID
		if c.All {
			entries, err := s.List(background())
			if err != nil {
				return err
			}
			for _, e := range entries {
				ids = append(ids, e.ID)
			}
		}
		for _, id := range ids {
			if err := s.Retry(background(), id); err != nil {
				return err
			}
		}
		_, err := fmt.Fprintf(a.stdout, "%d to be tried now\n", len(ids))
		return err
	})
}

type queueDropCmd struct {
	queueFlags
	ID []int64 `arg:"" name:"id" help:"Numbers of deliveries, from queue list."`
}

func (queueDropCmd) examples() string { return `smimerelay queue drop 17` }

// Run takes deliveries out of the queue.
func (c *queueDropCmd) Run(a *app) error {
	return c.withQueue(func(s *queue.Store) error {
		for _, id := range c.ID {
			if err := s.Drop(background(), id); err != nil {
				return err
			}
			if _, err := fmt.Fprintf(a.stdout, "%d dropped\n", id); err != nil {
				return err
			}
		}
		return nil
	})
}

// entry writes a delivery: a line for it and one for each recipient.
func (p *page) entry(e queue.Entry, now time.Time) {
	p.line("%-6d %s  %8d octets  from <%s>  attempts %d, %s",
		e.ID, e.Created.Format(time.RFC3339), e.Size, e.Sender, e.Attempts, nextAttempt(e.Next, now))
	for _, r := range e.Recipients {
		text := "to <" + r.Address + ">"
		if r.Error != "" {
			text += ": " + oneLine(r.Error)
		}
		p.line("       %s", strings.TrimSpace(text))
	}
}

func nextAttempt(next, now time.Time) string {
	switch {
	case next.IsZero():
		return "one under way"
	case !next.After(now):
		return "next now"
	}
	return "next in " + next.Sub(now).Round(time.Second).String()
}
