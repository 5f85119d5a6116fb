package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/console/access"
	"github.com/smimerelay/smimerelay/internal/config"
)

type auditCmd struct {
	List   auditListCmd   `cmd:"" help:"List what was changed in the console, by its API and by commands, latest first."`
	Verify auditVerifyCmd `cmd:"" help:"Check that no entry of the audit log was changed or removed."`
}

type auditListCmd struct {
	consoleFlags
	Who    string `placeholder:"NAME" help:"Only what this account did, also by its tokens; this token, as OWNER/LABEL; or this user of the host."`
	What   string `placeholder:"TEXT" help:"Only this action, such as held.release; actions with this first word, such as held; or changes of this object: an address, a fingerprint, an account."`
	Since  span   `placeholder:"DURATION" help:"Only what was done during the last time, such as 90m or 7d."`
	From   moment `placeholder:"TIME" help:"Only what was done at this time or later, such as 2026-12-01T10:42 (UTC)."`
	To     moment `placeholder:"TIME" help:"Only what was done before this time."`
	JSON   bool   `name:"json" help:"Print the list as JSON."`
	Before int64  `placeholder:"N" help:"Only entries with a lower number, to continue where --limit stopped."`
	Limit  int    `default:"100" placeholder:"N" help:"Maximum number of entries, 1000 at most."`
}

// Help is shown below the summary.
func (auditListCmd) Help() string {
	return `Each entry has its time, who changed something, from where, what, and what it was before and after. An entry is written before the change; if that fails, a second entry says so. What commands on a host of the gateway change is in it as well, by the user who ran them (that of sudo) and the name of the host, with the arguments of the command.`
}

func (auditListCmd) examples() string {
	return `smimerelay audit list
		smimerelay audit list --who alice --since 7d
		smimerelay audit list --what certificate --from 2026-12-01 --to 2026-12-02
		smimerelay audit list --what held.release --json | jq '.[].object'`
}

// Run prints the entries.
func (c *auditListCmd) Run(a *app) error {
	since, err := from(a, c.Since, c.From)
	if err != nil {
		return err
	}
	return c.with(a, func(ctx context.Context, s *access.Store, _ *config.Config, _ access.Actor) error {
		list, err := s.Audit(ctx, access.AuditQuery{Who: c.Who, What: c.What, Since: since, Until: time.Time(c.To), Before: c.Before, Limit: c.Limit})
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

type auditVerifyCmd struct {
	consoleFlags
	Kept string `placeholder:"NUMBER:DIGEST" help:"The last entry as an earlier check printed it: it must still be the same."`
}

// Help is shown below the summary.
func (auditVerifyCmd) Help() string {
	return `Each entry has the digest of the one before. Someone who can write to the database can compute all digests again. To notice that, too, keep the number and digest of the last entry, which this prints, on another machine, and give them to the next check with --kept.

Exit status: 0 the log is whole, 1 it is not, 2 usage error, 78 bad configuration.`
}

func (auditVerifyCmd) examples() string {
	return `smimerelay audit verify
		smimerelay audit verify --kept 4711:5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9`
}

// Run verifies.
func (c *auditVerifyCmd) Run(a *app) error {
	return c.with(a, func(ctx context.Context, s *access.Store, _ *config.Config, _ access.Actor) error {
		kept, err := auditPoint(c.Kept)
		if err != nil {
			return unusable(fmt.Errorf("--kept: %w", err))
		}
		last, broken, err := s.VerifyAudit(ctx, kept)
		if err != nil {
			return err
		}
		if broken > 0 {
			return negative(fmt.Errorf("entry %d of the audit log is missing or was changed", broken))
		}
		p := a.page()
		p.line("the audit log is whole; its last entry is %d:%s", last.ID, last.Digest)
		return p.err
	})
}

// auditPoint reads what verify printed; "" is the zero point.
func auditPoint(text string) (access.AuditPoint, error) {
	if text == "" {
		return access.AuditPoint{}, nil
	}
	number, digest, _ := strings.Cut(text, ":")
	id, err := strconv.ParseInt(number, 10, 64)
	if sum, bad := hex.DecodeString(digest); err != nil || id < 1 || bad != nil || len(sum) != sha256.Size {
		return access.AuditPoint{}, fmt.Errorf("%q is not the number and the digest of an entry, as smimerelay audit verify prints them", text)
	}
	return access.AuditPoint{ID: id, Digest: strings.ToLower(digest)}, nil
}
