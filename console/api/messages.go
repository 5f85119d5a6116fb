package api

import (
	"context"
	"errors"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/smimerelay/smimerelay/history"
	"github.com/smimerelay/smimerelay/smime/address"
)

// MessageQuery chooses entries of the history.
type MessageQuery struct {
	Paging
	Text      string    `query:"q" maxLength:"998" doc:"Identifier of the gateway or of the MTA, Message-ID, or address of a sender or recipient."`
	Address   string    `query:"address" maxLength:"320" doc:"Only from or to this address."`
	Since     time.Time `query:"since" doc:"Only those received at this time or later."`
	Until     time.Time `query:"until" doc:"Only those received before this time."`
	Outcome   string    `query:"outcome" enum:"delivered,edited,queued,held,quarantined,deferred,refused,stripped,returned,failed,removed" doc:"Only with this outcome."`
	Direction string    `query:"direction" enum:"outbound,inbound" doc:"Only in this direction."`
	Listener  string    `query:"listener" maxLength:"100" doc:"Only by this listener."`
	Rule      string    `query:"rule" maxLength:"200" doc:"Only those that this rule decided."`
}

// NoHistory is what a client reads where the configuration has no history.
const NoHistory = "there is no history; see [history] in the configuration"

// history returns the history, or that there is none.
func (o *Operations) history(ctx context.Context) (*history.Store, error) {
	h, err := o.Gateway.History(ctx)
	if errors.Is(err, history.ErrNone) || err == nil && h == nil {
		return nil, huma.Error404NotFound(NoHistory)
	}
	return h, o.problem(ctx, err)
}

// SearchMessages finds messages, newest first: an entry for each recipient.
func (o *Operations) SearchMessages(ctx context.Context, in *MessageQuery) (*Body[List[history.Row]], error) {
	h, err := o.history(ctx)
	if err != nil {
		return nil, err
	}
	q := history.Query{
		Text: in.Text, Since: in.Since, Until: in.Until, Outcome: history.Outcome(in.Outcome), Direction: in.Direction,
		Listener: in.Listener, Rule: in.Rule, Cursor: in.Cursor, Limit: in.most(),
	}
	if in.Address != "" {
		if q.Address, err = address.Parse(in.Address); err != nil {
			return nil, huma.Error422UnprocessableEntity("address: " + err.Error())
		}
	}
	page, err := h.Search(ctx, q)
	if errors.Is(err, history.ErrCursor) {
		return nil, badCursor()
	}
	if err != nil {
		return nil, o.problem(ctx, err)
	}
	return body(List[history.Row]{page.Rows, page.Next}), nil
}

// MessageID names a message.
type MessageID struct {
	ID string `path:"id" maxLength:"100" doc:"The gateway's identifier of the message."`
}

// ShowMessage shows what is known of one message: an entry for each recipient.
func (o *Operations) ShowMessage(ctx context.Context, in *MessageID) (*Body[List[history.Row]], error) {
	h, err := o.history(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := h.Message(ctx, in.ID)
	if err != nil {
		return nil, o.problem(ctx, err)
	}
	if len(rows) == 0 {
		return nil, huma.Error404NotFound(noMessage)
	}
	return body(listOf(rows, len(rows), nil)), nil
}

// TotalsQuery says for which time.
type TotalsQuery struct {
	Hours int `query:"hours" minimum:"1" maximum:"744" default:"24" doc:"Of the last so many hours."`
}

// ShowTotals counts recipients of messages by hour and outcome.
func (o *Operations) ShowTotals(ctx context.Context, in *TotalsQuery) (*Body[history.Totals], error) {
	h, err := o.history(ctx)
	if err != nil {
		return nil, err
	}
	now := o.Clock()
	t, err := h.Totals(ctx, now.Add(-time.Duration(max(in.Hours, 1)-1)*time.Hour), now)
	if err != nil {
		return nil, o.problem(ctx, err)
	}
	return body(t), nil
}
