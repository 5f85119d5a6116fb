package api

import (
	"context"
	"strconv"

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

// ListAudit lists the audit log, latest first.
func (o *Operations) ListAudit(ctx context.Context, in *Paging) (*Body[List[access.Entry]], error) {
	var before int64
	if in.Cursor != "" {
		var err error
		if before, err = strconv.ParseInt(in.Cursor, 10, 64); err != nil || before <= 0 {
			return nil, badCursor()
		}
	}
	found, err := o.Access.Audit(ctx, before, in.most()+1)
	if err != nil {
		return nil, o.problem(ctx, err)
	}
	return body(listOf(found, in.most(), func(e access.Entry) string { return strconv.FormatInt(e.ID, 10) })), nil
}
