package api

import (
	"context"
	"strconv"
	"time"

	"github.com/smimerelay/smimerelay/console/access"
)

// me is who calls.
type me struct {
	Name string      `json:"name"`
	Role access.Role `json:"role"`
}

// showMe shows who calls, and with which role.
func (o *Operations) showMe(ctx context.Context, _ *Empty) (*Body[me], error) {
	a := actor(ctx)
	return body(me{a.Name, a.Role}), nil
}

// listAccounts lists the accounts of the console.
func (o *Operations) listAccounts(ctx context.Context, _ *Empty) (*Body[List[access.User]], error) {
	users, err := o.Access.Users(ctx)
	if err != nil {
		return nil, o.problem(ctx, err)
	}
	return body(listOf(users, len(users), nil)), nil
}

// listTokens lists the tokens of the API, without their secrets.
func (o *Operations) listTokens(ctx context.Context, _ *Empty) (*Body[List[access.Token]], error) {
	tokens, err := o.Access.Tokens(ctx)
	if err != nil {
		return nil, o.problem(ctx, err)
	}
	return body(listOf(tokens, len(tokens), nil)), nil
}

// AuditQuery chooses entries of the audit log.
type AuditQuery struct {
	Paging
	Who   string    `query:"who" maxLength:"255" doc:"Only by this account, with its tokens; by this token, as OWNER/LABEL; or by this user of the host."`
	What  string    `query:"what" maxLength:"320" doc:"Only this action, such as held.release; actions with this first word, such as held; or changes of this object: an address, a fingerprint, an account."`
	Since time.Time `query:"since" doc:"Only at this time or later."`
	Until time.Time `query:"until" doc:"Only before this time."`
}

// ListAudit lists the audit log, latest first.
func (o *Operations) ListAudit(ctx context.Context, in *AuditQuery) (*Body[List[access.Entry]], error) {
	q := access.AuditQuery{Who: in.Who, What: in.What, Since: in.Since, Until: in.Until, Limit: in.most() + 1}
	if in.Cursor != "" {
		var err error
		if q.Before, err = strconv.ParseInt(in.Cursor, 10, 64); err != nil || q.Before <= 0 {
			return nil, badCursor()
		}
	}
	found, err := o.Access.Audit(ctx, q)
	if err != nil {
		return nil, o.problem(ctx, err)
	}
	return body(listOf(found, in.most(), func(e access.Entry) string { return strconv.FormatInt(e.ID, 10) })), nil
}
