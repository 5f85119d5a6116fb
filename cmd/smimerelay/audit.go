package main

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/smimerelay/smimerelay/console/access"
	"github.com/smimerelay/smimerelay/internal/config"
)

type auditCmd struct {
	List   auditListCmd   `cmd:"" help:"List what was changed in the console, by its API and in its accounts, latest first."`
	Verify auditVerifyCmd `cmd:"" help:"Check that no entry of the audit log was changed or removed."`
}

type auditListCmd struct {
	consoleFlags
	JSON   bool  `name:"json" help:"Print the list as JSON."`
	Before int64 `placeholder:"N" help:"Only entries with a lower number, to continue where --limit stopped."`
	Limit  int   `default:"100" placeholder:"N" help:"Maximum number of entries, 1000 at most."`
}

// Help is shown below the summary.
func (auditListCmd) Help() string {
	return `Each entry has its time, who changed something, from where, what, and what it was before and after. An entry is written before the change; if that fails, a second entry says so. What is changed at the command line is not in the log, but for accounts and tokens.`
}

func (auditListCmd) examples() string {
	return `smimerelay audit list
		smimerelay audit list --json | jq '.[] | select(.action == "held.release")'`
}

// Run prints the entries.
func (c *auditListCmd) Run(a *app) error {
	return c.with(a, func(ctx context.Context, s *access.Store, _ *config.Config, _ access.Actor) error {
		list, err := s.Audit(ctx, c.Before, c.Limit)
		if err != nil {
			return err
		}
		if c.JSON {
			return a.printJSON(list)
		}
		p := a.page()
		for _, e := range list {
			p.line("%6d %s  %s (%s, %s)  %s %s%s", e.ID, e.Time.Format(time.RFC3339), e.Actor.Name, e.Actor.Via,
				cmp.Or(e.Actor.From, "this host"), e.Action, e.Object, because(e.Reason))
			for _, change := range []struct {
				word   string
				values map[string]any
			}{{"before", e.Before}, {"after", e.After}} {
				p.lineIf(len(change.values) > 0, fmt.Sprintf("       %s %v", change.word, change.values))
			}
			p.lineIf(e.Failed != "", "       failed: "+e.Failed)
		}
		p.line("%d entries", len(list))
		return p.err
	})
}

type auditVerifyCmd struct{ consoleFlags }

// Help is shown below the summary.
func (auditVerifyCmd) Help() string {
	return `Each entry has the digest of the one before. Someone who can write to the database can compute all digests again; keep the last digest elsewhere, or the log lines, to notice that, too.
Exit status: 0 the log is whole, 1 it is not, 2 usage error, 78 bad configuration.`
}

func (auditVerifyCmd) examples() string { return `smimerelay audit verify` }

// Run verifies.
func (c *auditVerifyCmd) Run(a *app) error {
	return c.with(a, func(ctx context.Context, s *access.Store, _ *config.Config, _ access.Actor) error {
		broken, err := s.VerifyAudit(ctx)
		if err != nil {
			return err
		}
		if broken > 0 {
			return negative(fmt.Errorf("entry %d of the audit log is missing or was changed", broken))
		}
		p := a.page()
		p.line("the audit log is whole")
		return p.err
	})
}
