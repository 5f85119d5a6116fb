package service

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/history"
	"github.com/smimerelay/smimerelay/relay/dsn"
	"github.com/smimerelay/smimerelay/relay/gateway"
	"github.com/smimerelay/smimerelay/smime/address"
)

// commands is how mail commands are answered.
func (b *builder) commands() (c gateway.Commands) {
	in := b.config.Commands
	if in.Address == "" {
		return c
	}
	var err error
	if c.Address, err = address.Parse(in.Address); err != nil {
		b.complain("mail_commands.address", err.Error(), "write an address such as smime@example.com")
		return c
	}
	if b.allow != nil {
		c.Allow = func(member address.Address) bool { return b.allow(member, in.PerHour) }
		c.Uncount = b.uncount
	}
	if b.config.History.Keep > 0 {
		c.Fates = b.fates
	}
	return c
}

// answersUnsigned reports whether mail commands are taken whose answers cannot be signed: then
// none is sent.
func (p *Parts) answersUnsigned() bool {
	from := p.Gateway.Commands.Address
	if from.IsNull() {
		return false
	}
	own, err := p.Keys.Signing(context.Background(), from)
	return err == nil && own == nil && (p.enroller == nil || p.enroller.Ready(context.Background(), from) != nil)
}

// commandCounts counts the mail commands of members. Each node counts its own.
type commandCounts struct {
	mu   sync.Mutex
	from map[string]commandCount // by member
}

// commandCount is how many commands of a member came since a time.
type commandCount struct {
	since time.Time
	n     int
}

// The bounds of commandCounts.
const (
	countFor    = time.Hour
	mostCounted = 10_000 // members
)

// allow counts a command, and reports whether it is one of the first perHour in an hour.
func (c *commandCounts) allow(member address.Address, perHour int, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	who := member.Key(address.IgnoreCase)
	count, ok := c.from[who]
	if !ok && len(c.from) >= mostCounted {
		for k, old := range c.from {
			if now.Sub(old.since) >= countFor {
				delete(c.from, k)
			}
		}
		if len(c.from) >= mostCounted {
			return false
		}
	}
	if !ok || now.Sub(count.since) >= countFor || now.Before(count.since) {
		count = commandCount{since: now}
	}
	count.n++
	if c.from == nil {
		c.from = map[string]commandCount{}
	}
	c.from[who] = count
	return count.n <= perHour
}

// uncount undoes an allow.
func (c *commandCounts) uncount(member address.Address) {
	c.mu.Lock()
	defer c.mu.Unlock()
	who := member.Key(address.IgnoreCase)
	if count, ok := c.from[who]; ok && count.n > 0 {
		count.n--
		c.from[who] = count
	}
}

// allowCommand is setting.allow.
func (s *Service) allowCommand(member address.Address, perHour int) bool {
	return s.commands.allow(member, perHour, s.options.Clock())
}

// listedFates is how many recipients of a message an answer names.
const listedFates = 50

var errNoHistory = errors.New("there is no history")

// fates is gateway.Commands.Fates. Only outbound mail is shown: what became of a message that
// came in may depend on what decryption found.
func (s *Service) fates(ctx context.Context, member address.Address, messageID string) (list []dsn.Fate, more bool, err error) {
	r := s.recorder.Load()
	if r == nil {
		return nil, false, errNoHistory
	}
	page, err := r.writer.Search(ctx, history.Query{Text: messageID, Address: member, Direction: string(enforce.Outbound), Limit: history.MaxLimit})
	if err != nil {
		return nil, false, err
	}
	var refused map[string]bool // the messages of which these were looked for
	for _, row := range page.Rows {
		if !row.Sender.Equal(member, address.IgnoreCase) || strings.Trim(row.MessageID, "<>") != strings.Trim(messageID, "<>") {
			continue
		}
		rows := []history.Row{row}
		if !refused[row.ID] {
			before, err := r.refusedBefore(ctx, &row)
			if err != nil {
				return nil, false, err
			}
			rows = append(rows, before...)
			if refused == nil {
				refused = map[string]bool{}
			}
			refused[row.ID] = true
		}
		for i := range rows {
			if len(list) == listedFates {
				return list, true, nil
			}
			list = append(list, dsn.Fate{Recipient: rows[i].Recipient, Time: rows[i].Time, Outcome: string(rows[i].Outcome), Reason: publicReason(&rows[i])})
		}
	}
	return list, page.Next != "", nil
}

// refusedBefore returns the rows of the recipients that were refused before a message came: they
// have no Message-ID.
func (r *recorder) refusedBefore(ctx context.Context, of *history.Row) (list []history.Row, err error) {
	all, err := r.writer.Message(ctx, of.ID)
	for i := range all {
		if row := &all[i]; row.Decided == history.AtRCPT && row.Direction == of.Direction && row.Sender.Equal(of.Sender, address.IgnoreCase) {
			list = append(list, *row)
		}
	}
	return list, err
}

// publicReason is what the sender may know of why: what a rule said, or what a server
// replied, as in a delivery report. Private causes are in the log.
func publicReason(r *history.Row) string {
	switch r.Outcome {
	case history.Delivered, history.Edited, history.Returned, history.Removed:
		return ""
	case history.Failed, history.Queued:
		for i := len(r.Events) - 1; i >= 0; i-- {
			switch e := r.Events[i]; {
			case e.Kind == history.Ended:
				return e.Reason
			case e.Reply != "" && e.Host != "":
				return "host " + e.Host + " said: " + e.Reply
			case e.Reply != "":
				return e.Reply
			}
		}
		return ""
	}
	if r.Rule != "" {
		return r.Reason
	}
	for i := len(r.Events) - 1; i >= 0; i-- {
		if e := r.Events[i]; e.Kind == history.Answered {
			return e.Reply
		}
	}
	return ""
}
