package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/smimerelay/smimerelay/history"
	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/service"
)

// moment is a time, as history.ParseTime reads it.
type moment time.Time

// UnmarshalText reads a time.
func (m *moment) UnmarshalText(text []byte) error {
	at, err := history.ParseTime(string(text))
	*m = moment(at)
	return err
}

// from is the time from which on a command lists what happened, by its --since or its --from; the
// zero value where it has neither.
func from(a *app, since span, at moment) (time.Time, error) {
	switch {
	case since == 0:
		return time.Time(at), nil
	case !time.Time(at).IsZero():
		return time.Time{}, unusable(errors.New("use either --since or --from"))
	}
	return a.clock().Add(-time.Duration(since)), nil
}

type traceCmd struct {
	Config   string `default:"${config}" placeholder:"FILE" help:"The configuration file, which names the store: the history is next to it."`
	Since    span   `placeholder:"DURATION" help:"Only messages that came during the last time, such as 90m or 7d."`
	From     moment `placeholder:"TIME" help:"Only messages that came at this time or later, such as 2026-12-01T10:42 (UTC)."`
	To       moment `placeholder:"TIME" help:"Only messages that came before this time."`
	Listener string `placeholder:"NAME" help:"Only messages that this listener received."`
	Rule     string `placeholder:"NAME" help:"Only messages for which this rule decided."`
	Limit    int    `default:"10" placeholder:"NUMBER" help:"The most messages to print, the newest ones."`
	JSON     bool   `name:"json" help:"Print the entries of the history as JSON."`
	What     string `arg:"" name:"what" help:"Identifier of the gateway or queue identifier of the MTA, as in their logs, Message-ID, or the address of a sender or recipient."`
}

// Help is shown below the summary.
func (traceCmd) Help() string {
	return `The history has neither subjects nor content. [history] says for how long it is kept. Can be used while the gateway is running; what happened in the last second may be missing.`
}

func (traceCmd) examples() string {
	return `smimerelay trace 4cWq3Y2JzXz9sQ
		smimerelay trace --since 24h bob@example.net
		smimerelay trace --from 2026-12-01T10:40 --to 2026-12-01T10:45 --rule partners bob@example.net
		smimerelay trace --json '<20260102030405.1234@example.org>' | jq '.[].outcome'`
}

// openHistory opens the history of a configuration file to look into it.
func openHistory(file string) (*history.Store, error) {
	c, problems := config.Load(file)
	if len(problems) > 0 {
		return nil, problems
	}
	place, ok, err := service.HistoryPlace(c)
	if err != nil {
		return nil, unusable(err)
	}
	if !ok {
		return nil, unusable(fmt.Errorf("%s keeps no history; set history.keep, and store.url", file))
	}
	s, err := history.OpenExisting(background(), place)
	switch {
	case errors.Is(err, history.ErrNone):
		return nil, unusable(fmt.Errorf("%w; start the gateway with this configuration", err))
	case err != nil:
		return nil, unusable(fmt.Errorf("%w; check store.url in %s and which user you are", err, file))
	}
	return s, nil
}

// Run prints what the history has.
func (c *traceCmd) Run(a *app) error {
	if c.Limit < 1 {
		return unusable(errors.New("trace: --limit must be positive"))
	}
	since, err := from(a, c.Since, c.From)
	if err != nil {
		return err
	}
	s, err := openHistory(c.Config)
	if err != nil {
		return err
	}
	messages, more, err := c.find(s, since)
	if err = errors.Join(err, s.Close()); err != nil {
		return unusable(err)
	}
	if c.JSON {
		err = a.printJSON(slices.Concat(messages...))
	} else {
		p := a.page()
		for i, rows := range messages {
			p.lineIf(i > 0, "")
			p.story(rows)
		}
		p.lineIf(more, "")
		p.lineIf(more, "There are older messages; see --limit and --since.")
		err = p.err
	}
	if err == nil && len(messages) == 0 {
		return negative(fmt.Errorf("the history has nothing of %q", c.What))
	}
	return err
}

// find returns the newest messages that are meant, oldest first, each with all its rows.
func (c *traceCmd) find(s *history.Store, since time.Time) (messages [][]history.Row, more bool, err error) {
	q := history.Query{
		Text: c.What, Since: since, Until: time.Time(c.To), Listener: c.Listener, Rule: c.Rule, Limit: history.MaxLimit,
	}
	var ids []string
	for {
		page, err := s.Search(background(), q)
		if err != nil {
			return nil, false, err
		}
		for _, r := range page.Rows {
			if slices.Contains(ids, r.ID) {
				continue
			}
			if len(ids) == c.Limit {
				more = true
				break
			}
			ids = append(ids, r.ID)
		}
		if more || page.Next == "" {
			break
		}
		q.Cursor = page.Next
	}
	slices.Reverse(ids)
	for _, id := range ids {
		rows, err := s.Message(background(), id)
		if err != nil {
			return nil, false, err
		}
		messages = append(messages, rows)
	}
	return messages, more, nil
}
