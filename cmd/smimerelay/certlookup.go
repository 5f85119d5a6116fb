package main

import (
	"fmt"
	"log/slog"

	"github.com/smimerelay/smimerelay/directory"
	"github.com/smimerelay/smimerelay/relay/gateway"
	"github.com/smimerelay/smimerelay/service"
	"github.com/smimerelay/smimerelay/smime/address"
)

type certLookupCmd struct {
	Config  string `default:"${config}" placeholder:"FILE" help:"The configuration file."`
	JSON    bool   `name:"json" help:"Print the result as JSON."`
	Fresh   bool   `help:"Query the sources now instead of the cache; this command always does."`
	Address string `arg:"" help:"The recipient's address."`
}

// Help is shown below the summary.
func (certLookupCmd) Help() string {
	return `Queries the configured directories, bypassing the cache of a running gateway. It prints the answer and the response time of each directory, and each certificate with the result of its checks. The outcome is usable, none, or unknown if a source was unavailable. For the address of a group, the members are shown.

Exit status: 0 usable, 1 none or unknown, 2 usage error, 78 bad configuration.`
}

func (certLookupCmd) examples() string {
	return `smimerelay cert lookup bob@example.net
		smimerelay cert lookup --config ./config.toml --json team@example.net`
}

// lookedUp is what --json prints.
type lookedUp struct {
	Address    string                       `json:"address"`
	Outcome    directory.Outcome            `json:"outcome"`
	Reason     string                       `json:"reason"`
	Sources    []gateway.ExplainedSource    `json:"sources"`
	Candidates []gateway.ExplainedCandidate `json:"candidates"`
	Group      *lookedUpGroup               `json:"group,omitempty"`
}

// lookedUpGroup is what is known of a group.
type lookedUpGroup struct {
	Source  string            `json:"source"`
	Members []address.Address `json:"members"`
	Notes   []string          `json:"notes,omitempty"`
	Error   string            `json:"error,omitempty"`
}

// Run prints the outcome of one lookup.
func (c *certLookupCmd) Run(a *app) error {
	addr, err := address.Parse(c.Address)
	if err != nil {
		return unusable(fmt.Errorf("ADDRESS: %w; write local@domain", err))
	}
	parts, problems := service.Load(c.Config, a.clock, slog.New(slog.DiscardHandler))
	if len(problems) > 0 {
		return problems
	}
	defer parts.Close()
	result := parts.Directory.LookupFresh(background(), addr)
	group := expand(parts.Directory, addr, result)
	if err := c.print(a, addr, result, group); err != nil {
		return err
	}
	if result.Outcome != directory.Usable {
		return &statusError{status: exitNegative}
	}
	return nil
}

func expand(d *directory.Directory, addr address.Address, r directory.Result) *lookedUpGroup {
	if r.Group == "" {
		return nil
	}
	g := &lookedUpGroup{Source: r.Group}
	x, _, err := d.Expand(background(), addr)
	if err != nil {
		g.Error = err.Error()
	}
	g.Members, g.Notes = x.Members, x.Notes
	return g
}

func (c *certLookupCmd) print(a *app, addr address.Address, r directory.Result, g *lookedUpGroup) error {
	var x gateway.ExplainedRecipient
	x.AddLookup(r)
	if c.JSON {
		return a.printJSON(lookedUp{addr.String(), r.Outcome, r.Reason(), x.Sources, x.Candidates, g})
	}
	p := a.page()
	p.line("%s: %s%s", addr, r.Outcome, because(r.Reason()))
	p.lookup(x)
	if g == nil {
		return p.err
	}
	p.line("  group      in %s, %d members%s", g.Source, len(g.Members), because(g.Error))
	for _, m := range g.Members {
		p.line("             %s", m)
	}
	for _, note := range g.Notes {
		p.line("             note: %s", note)
	}
	return p.err
}
