package main

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"time"

	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/queue"
)

type queueHeldCmd struct {
	queueFlags
	JSON bool `name:"json" help:"Print the list as JSON."`
}

// Help is shown below the summary.
func (queueHeldCmd) Help() string {
	return `A rule with no_certificate = "hold" holds a message for recipients without a certificate. An inbound rule with on_result = "quarantine" keeps an inbound message from its recipients until it is released. Both are kept in the queue file as received; only the user of the gateway can read that file.`
}

func (queueHeldCmd) examples() string {
	return `smimerelay queue held
		smimerelay queue held --json | jq -r '.[].recipients[].address' | sort | uniq -c`
}

// Run lists what is held.
func (c *queueHeldCmd) Run(a *app) error {
	return c.withQueue(func(s *queue.Store) error {
		entries, err := s.Held(background())
		if err != nil {
			return err
		}
		if c.JSON {
			return a.printJSON(entries)
		}
		p := a.page()
		for _, e := range entries {
			p.held(e, a.clock())
		}
		p.line("%d held", len(entries))
		return p.err
	})
}

// held writes a held message: a line for it and one for each recipient.
func (p *page) held(e queue.HeldEntry, now time.Time) {
	state := nextAttempt(e.Next, now)
	if e.Quarantined {
		state = "in quarantine"
	}
	p.line("%-6s %s  %8d octets  from <%s>  until %s, %s",
		e.ID, e.Since.Format(time.RFC3339), e.Size, e.Sender, e.Until.Format(time.RFC3339), state)
	p.lineIf(e.Trouble != "", "       not decided at the last recheck: "+e.Trouble)
	for _, r := range e.Recipients {
		p.line("       for <%s>: %s", r.Address, r.Reason)
	}
}

type queueReleaseCmd struct {
	queueFlags
	queueFilter
	Plain  bool     `help:"Release the messages in plaintext although a rule requires encryption. Needs --reason."`
	Reason string   `placeholder:"TEXT" help:"Why; the audit log, the history and the log of the gateway have it with your name. Needed with --plain."`
	All    bool     `help:"All messages held for missing certificates; not with --plain. Messages in quarantine are only released by number."`
	ID     []string `arg:"" optional:"" name:"id" help:"Numbers of held messages, from queue held, or of deliveries on hold, from queue list."`
}

// Help is shown below the summary.
func (queueReleaseCmd) Help() string {
	return `Deliveries that queue hold put on hold are attempted again. Flags such as --recipient choose those on hold and messages held for missing certificates; --status hold chooses all deliveries on hold. For held messages, the running gateway queries the directories again, bypassing its cache, and sends the messages that it can encrypt now. Messages for recipients still without a certificate remain held; queue held shows why. A message in quarantine is verified and decrypted again and delivered, whatever the inbound rules say. The command needs the gateway to be running.`
}

func (queueReleaseCmd) examples() string {
	return `smimerelay queue release h3
		smimerelay queue release --recipient @example.net
		smimerelay queue release --status hold
		smimerelay queue release --plain --reason "agreed with the recipient by phone" h3`
}

// Run gives the orders.
func (c *queueReleaseCmd) Run(a *app) error {
	switch chosen := !c.empty(); {
	case c.All && (chosen || len(c.ID) > 0), !c.All && chosen == (len(c.ID) > 0):
		return unusable(errors.New("queue release: use either numbers or --all, or flags such as --recipient"))
	case c.Plain && (c.All || chosen || c.Reason == ""):
		return unusable(errors.New("queue release: --plain sends messages in plaintext; name each message, and give the reason with --reason"))
	case c.Status != "" && c.Status != string(queue.OnHold):
		return unusable(fmt.Errorf("queue release: deliveries with the status %s are not on hold; use --status hold", c.Status))
	}
	order := relay.Order{Verb: relay.Release, Reason: c.Reason, By: whoami()}
	if c.Plain {
		order.Verb = relay.ReleasePlain
	}
	if !c.empty() {
		return c.releaseChosen(a, order)
	}
	held, waiting, err := c.split()
	if err != nil {
		return err
	}
	if len(waiting) > 0 {
		if err := c.unhold(a, queueChoice{queueFlags: c.queueFlags, ID: waiting}); err != nil {
			return err
		}
	}
	if len(held) == 0 && !c.All {
		return nil
	}
	return c.giveOrder(a, held, c.All, order, "will be rechecked now")
}

// releaseChosen releases the deliveries on hold that the flags choose, and has held messages
// rechecked. What is in quarantine is released by number only.
func (c *queueReleaseCmd) releaseChosen(a *app, order relay.Order) error {
	onHold := queueChoice{queueFlags: c.queueFlags, queueFilter: c.queueFilter}
	onHold.Status = string(queue.OnHold)
	if err := c.unhold(a, onHold); err != nil {
		return err
	}
	var held []string
	err := c.withQueue(func(s *queue.Store) error {
		entries, err := s.Held(background())
		for i := range entries {
			if f := c.filter(a.clock()); f.MatchesHeld(&entries[i]) && !entries[i].Quarantined {
				held = append(held, entries[i].ID.String())
			}
		}
		return err
	})
	if err != nil || len(held) == 0 {
		return err
	}
	return c.giveOrder(a, held, false, order, "will be rechecked now")
}

// split tells the numbers of held messages from those of deliveries.
func (c *queueReleaseCmd) split() (held []string, deliveries []int64, err error) {
	for _, text := range c.ID {
		n, isHeld, err := queueID(text)
		switch {
		case err != nil:
			return nil, nil, err
		case isHeld:
			held = append(held, text)
		case c.Plain:
			return nil, nil, unusable(fmt.Errorf("queue release: %s is a delivery, which leaves as it is; --plain is for held messages", text))
		default:
			deliveries = append(deliveries, n)
		}
	}
	return held, deliveries, nil
}

// unhold releases deliveries that are on hold.
func (c *queueReleaseCmd) unhold(a *app, choice queueChoice) error {
	return choice.change(a, "release", func(s *queue.Store, id int64) (bool, error) { return s.Unhold(background(), id) },
		"will be attempted now", "not on hold")
}

type queueReturnCmd struct {
	queueFlags
	Reason string   `required:"" placeholder:"TEXT" help:"Reason; it is shown to the sender."`
	ID     []string `arg:"" name:"id" help:"Numbers of held messages, from queue held."`
}

// Help is shown below the summary.
func (queueReturnCmd) Help() string {
	return `The running gateway sends the delivery reports; the command needs it to be running. They contain the header of the message, but not its text.`
}

func (queueReturnCmd) examples() string {
	return `smimerelay queue return --reason "the partner has left" h3`
}

// Run gives the orders.
func (c *queueReturnCmd) Run(a *app) error {
	return c.giveOrder(a, c.ID, false, relay.Order{Verb: relay.GiveBack, Reason: c.Reason, By: whoami()}, "will be returned now")
}

// giveOrder gives an order about some held messages, or all of them.
func (f *queueFlags) giveOrder(a *app, texts []string, all bool, order relay.Order, done string) error {
	var ids []queue.HoldID
	for _, text := range texts {
		id, ok := queue.ParseHoldID(text)
		if !ok {
			return unusable(fmt.Errorf("%q is not the number of a held message; use one such as h3, from queue held", text))
		}
		ids = append(ids, id)
	}
	return f.withQueue(func(s *queue.Store) error {
		if all {
			entries, err := s.Held(background())
			if err != nil {
				return err
			}
			for _, e := range entries {
				if !e.Quarantined {
					ids = append(ids, e.ID)
				}
			}
		}
		if order.Verb == relay.ReleasePlain {
			if err := noneQuarantined(s, ids); err != nil {
				return err
			}
		}
		for _, id := range ids {
			if err := s.Give(background(), id, order); err != nil {
				return err
			}
		}
		p := a.page()
		p.line("%d %s", len(ids), done)
		return p.err
	})
}

// noneQuarantined refuses to send in plaintext what waits for no certificate.
func noneQuarantined(s *queue.Store, ids []queue.HoldID) error {
	for _, id := range ids {
		e, err := s.ShowHeld(background(), id)
		if err != nil {
			return err
		}
		if e.Quarantined {
			return unusable(fmt.Errorf("%s is in quarantine; release it without --plain and --reason", id))
		}
	}
	return nil
}

// whoami names who gives an order: also behind sudo.
func whoami() string {
	if name := os.Getenv("SUDO_USER"); name != "" {
		return name
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "unknown"
}
