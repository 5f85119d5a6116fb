package main

import (
	"bufio"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/smimerelay/smimerelay/history"
	"github.com/smimerelay/smimerelay/relay/policytest"
	"github.com/smimerelay/smimerelay/service"
)

type policyReplayCmd struct {
	Config     string `default:"${config}" placeholder:"FILE" help:"The configuration file in use, which names the store: the history is next to it."`
	Since      span   `default:"30d" placeholder:"DURATION" help:"Only messages that came during the last time, such as 90m or 7d."`
	Limit      int    `default:"100" placeholder:"NUMBER" help:"The most changes to list; all are counted."`
	JSON       bool   `name:"json" help:"Print the result as JSON."`
	WriteCases string `placeholder:"FILE" help:"Also write test cases for policy test to a new file: that each message is treated as it was."`
	Rules      string `arg:"" name:"new" help:"Configuration file with the rules to try."`
}

// Help is shown below the summary.
func (policyReplayCmd) Help() string {
	return `The rules, inbound rules and partners of the file are tried on the messages of the history, with what was known of them when they came: certificates, identities, group membership, the result of verification. No directory is asked, and nothing is sent. What the new rules ask and the history does not have is unknown, and counted as that: the history keeps no subjects, no other fields of the header and no attachments. Domains, profiles and listeners are those of the time.`
}

func (policyReplayCmd) examples() string {
	return `smimerelay policy replay new.toml
		smimerelay policy replay --since 7d --json new.toml | jq '.counts'`
}

// Run tries the rules and prints what would change.
func (c *policyReplayCmd) Run(a *app) error {
	if c.Limit < 0 {
		return unusable(errors.New("policy replay: --limit must not be negative"))
	}
	parts, problems := service.Load(c.Rules, a.clock, slog.New(slog.DiscardHandler))
	if len(problems) > 0 {
		return problems
	}
	rules := history.Rules{Policy: parts.Policy, Inbound: parts.Gateway.InboundPolicy, Partners: parts.Gateway.Partners}
	if err := parts.Close(); err != nil {
		return unusable(err)
	}
	s, err := openHistory(c.Config)
	if err != nil {
		return err
	}
	until := a.clock()
	since := until.Add(-time.Duration(c.Since))
	result, err := s.Replay(background(), rules, since, until, c.Limit)
	written := 0
	if err == nil && c.WriteCases != "" {
		written, err = writeCases(s, c.WriteCases, since, until)
	}
	if err = errors.Join(err, s.Close()); err != nil {
		return unusable(err)
	}
	if c.JSON {
		return a.printJSON(result)
	}
	p := a.page()
	p.replay(result, since)
	p.lineIf(c.WriteCases != "", fmt.Sprintf("%d cases written", written))
	return p.err
}

// writeCases writes those of the messages that a case can describe.
func writeCases(s *history.Store, path string, since, until time.Time) (written int, err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, err
	}
	b := bufio.NewWriter(f)
	err = s.Decisions(background(), since, until, func(rows []history.Row) error {
		c, ok := policytest.FromHistory(rows)
		if !ok {
			return nil
		}
		written++
		return c.Write(b)
	})
	return written, errors.Join(err, b.Flush(), f.Close())
}

// replay writes what would change.
func (p *page) replay(r *history.Replay, since time.Time) {
	p.line("%d recipients of %d messages since %s: %d would be treated as they were, %d otherwise, %d unknown",
		r.Recipients, r.Messages, since.Format(time.RFC3339), r.Unchanged, r.Changed, r.Unknown)
	p.lineIf(r.Undecided > 0, fmt.Sprintf("%d were not decided on by rules", r.Undecided))
	for _, c := range r.Counts {
		p.line("%7d %s that were %s, by rule %q", c.Number, c.After, c.Before, c.Rule)
	}
	for _, l := range r.UnknownFor {
		p.line("%7d unknown: the history does not have %s", l.Number, l.Lacks)
	}
	for _, d := range r.Differences {
		p.line("%s %s from <%s> to <%s>: %s by %q, was %s by %q", d.Time.Format(time.RFC3339), d.ID, d.Sender, d.Recipient,
			d.After, d.RuleAfter, d.Before, d.RuleBefore)
		if d.Reason != "" {
			p.line("       %s", d.Reason)
		}
	}
	p.lineIf(r.DifferencesOmitted > 0, fmt.Sprintf("%d more; see --limit", r.DifferencesOmitted))
}
