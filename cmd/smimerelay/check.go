package main

import (
	"cmp"
	"log/slog"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/internal/postgresdb"
	"github.com/smimerelay/smimerelay/service"
)

type checkCmd struct {
	Config string `default:"${config}" placeholder:"FILE" help:"The configuration file."`
	JSON   bool   `name:"json" help:"Print the problems as JSON."`
}

// Help is shown below the summary.
func (checkCmd) Help() string {
	return `Does everything that serve does before it opens a listener: reads the file, compiles the rules, opens certificates, identities and directories. All problems are printed at once, one per line: file, line, key, what is wrong, and how to fix it. Warnings are what is allowed and probably not meant, and what would keep serve from starting here and now, such as a missing folder or a port that another program has. It connects only to a PostgreSQL store and creates no files: a store that does not exist yet counts as empty.`
}

func (checkCmd) examples() string {
	return `smimerelay check
		smimerelay check --config new.toml && mv new.toml /etc/smimerelay/config.toml`
}

// checkReport is what --json prints.
type checkReport struct {
	OK       bool           `json:"ok"`
	Problems []checkProblem `json:"problems"`
	Warnings []checkProblem `json:"warnings"`
}

type checkProblem struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Key    string `json:"key"`
	Text   string `json:"text"`
	Remedy string `json:"remedy"`
}

// Run builds everything that the file describes and opens no listener.
func (c *checkCmd) Run(a *app) error {
	parts, problems := service.Load(c.Config, a.clock, slog.New(slog.DiscardHandler))
	var warnings config.Problems
	var holdings service.Holdings
	if parts != nil {
		defer parts.Close()
		var err error
		if holdings, err = parts.Survey(background(), a.clock()); err != nil {
			return err
		}
		warnings = append(parts.Warnings(holdings, a.clock()), parts.Unstorable()...).InOrder()
	}
	if c.JSON {
		report := checkReport{OK: len(problems) == 0, Problems: jsonProblems(problems), Warnings: jsonProblems(warnings)}
		if err := a.printJSON(report); err != nil {
			return err
		}
		if !report.OK {
			return &statusError{status: exitBadConfig}
		}
		return nil
	}
	if len(problems) > 0 {
		return problems
	}
	p := a.page()
	for _, w := range warnings {
		p.line("warning: %s", w)
	}
	if p.err != nil {
		return p.err
	}
	return c.summary(a, parts, holdings)
}

func jsonProblems(ps config.Problems) []checkProblem {
	out := []checkProblem{}
	for _, p := range ps {
		out = append(out, checkProblem(p))
	}
	return out
}

// summary says what the file comes to.
func (c *checkCmd) summary(a *app, p *service.Parts, h service.Holdings) error {
	out := a.page()
	out.line("hostname %s, local domains %s", p.Gateway.Hostname, strings.Join(p.Gateway.Domains, " "))
	for _, l := range p.Config.Listeners {
		out.line("listener %-12s %-6s %-24s %s", l.Name, l.Protocol, l.Address, l.Direction)
	}
	for _, t := range p.Config.Trust.Anchor {
		out.line("anchor %s revocation %s %s", t.Path, cmp.Or(t.Revocation, p.Config.Trust.Revocation), t.Note)
	}
	out.line("rules %d, identities %d, trust anchors %d, next hop %s",
		len(p.Config.Rules), h.Count, p.Anchors, p.Config.NextHop.Address)
	n, err := p.Store().Count(background(), store.Query{})
	if err != nil {
		return err
	}
	out.line("store %s, certificates %d", storeName(p.Config.Store.URL), n)
	if !h.First.IsZero() {
		out.line("the next identity expires %s", h.First.UTC().Format(time.DateOnly))
	}
	out.line("%s: ok", c.Config)
	return out.err
}

// storeName is the place of a store, without what may be secret in it.
func storeName(url string) string {
	if url == "" {
		return "in memory only"
	}
	return postgresdb.Label(url)
}
