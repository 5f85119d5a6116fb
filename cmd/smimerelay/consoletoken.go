package main

import (
	"context"
	"time"

	"github.com/smimerelay/smimerelay/console/access"
	"github.com/smimerelay/smimerelay/internal/config"
)

type consoleTokenCmd struct {
	Add    tokenAddCmd    `cmd:"" help:"Make a token and print it."`
	List   tokenListCmd   `cmd:"" help:"List the tokens."`
	Remove tokenRemoveCmd `cmd:"" help:"Remove a token."`
}

type tokenAddCmd struct {
	consoleFlags
	Owner    string `required:"" placeholder:"NAME" help:"The account that the token belongs to; it is removed with it."`
	Role     string `enum:"viewer,operator,administrator" default:"viewer" placeholder:"ROLE" help:"What the token may do, as long as its owner may: viewer, operator or administrator."`
	Lifetime span   `default:"90d" placeholder:"TIME" help:"How long the token can be used, such as 30d; one year at most."`
	Label    string `arg:"" help:"Name of the token, such as monitoring."`
}

// Help is shown below the summary.
func (tokenAddCmd) Help() string {
	return `The token is printed once and stored as a hash. Programs send it as "Authorization: Bearer TOKEN".`
}

func (tokenAddCmd) examples() string {
	return `smimerelay console token add --owner alice --role viewer --lifetime 30d monitoring`
}

// Run makes a token.
func (c *tokenAddCmd) Run(a *app) error {
	return c.with(a, func(ctx context.Context, s *access.Store, _ *config.Config, by access.Actor) error {
		secret, err := s.CreateToken(ctx, by, c.Label, c.Owner, access.Role(c.Role), time.Duration(c.Lifetime))
		if err != nil {
			return err
		}
		p := a.page()
		p.line("%s", secret)
		return p.err
	})
}

type tokenListCmd struct {
	consoleFlags
	JSON bool `name:"json" help:"Print the list as JSON."`
}

func (tokenListCmd) examples() string { return `smimerelay console token list` }

// Run prints the tokens.
func (c *tokenListCmd) Run(a *app) error {
	return c.with(a, func(ctx context.Context, s *access.Store, _ *config.Config, _ access.Actor) error {
		list, err := s.Tokens(ctx)
		if err != nil {
			return err
		}
		if c.JSON {
			return a.printJSON(list)
		}
		p := a.page()
		for _, t := range list {
			state := "expires"
			if !t.Expires.After(a.clock()) {
				state = "expired"
			}
			p.line("%-24s %s, of %s, %s %s", t.Label, t.Role, t.Owner, state, t.Expires.Format(time.RFC3339))
		}
		p.line("%d tokens", len(list))
		return p.err
	})
}

type tokenRemoveCmd struct {
	consoleFlags
	Label string `arg:"" help:"Name of the token."`
}

func (tokenRemoveCmd) examples() string { return `smimerelay console token remove monitoring` }

// Run removes a token.
func (c *tokenRemoveCmd) Run(a *app) error {
	return c.with(a, func(ctx context.Context, s *access.Store, _ *config.Config, by access.Actor) error {
		if err := s.RemoveToken(ctx, by, c.Label); err != nil {
			return err
		}
		return said(a, c.Label, "removed")
	})
}
