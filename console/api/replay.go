package api

import (
	"context"

	"github.com/smimerelay/smimerelay/console/access"
	"github.com/smimerelay/smimerelay/history"
)

// ReplayRequest asks what other rules would have done.
type ReplayRequest struct {
	Body struct {
		Text  string `json:"text" minLength:"1" maxLength:"1000000" doc:"The text of a configuration file, of which the rules, inbound rules and partners count."`
		Days  int    `json:"days,omitempty" minimum:"1" maximum:"366" default:"30" doc:"Only messages of the last so many days."`
		Limit int    `json:"limit,omitempty" minimum:"1" maximum:"500" default:"100" doc:"The most differences to list; all are counted."`
	}
}

// ReplayPolicy tries other rules on the messages of the history, with what was known of them when
// they came. No directory is asked and nothing is sent. The text is read like that of
// CheckConfiguration, and recorded like it.
func (o *Operations) ReplayPolicy(ctx context.Context, in *ReplayRequest) (*Body[history.Replay], error) {
	h, err := o.history(ctx)
	if err != nil {
		return nil, err
	}
	end, err := o.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	rules, problems := o.Gateway.Rules([]byte(in.Body.Text))
	if len(problems) > 0 {
		for i := range problems {
			problems[i].File = "text" // it is not the file of the gateway that has them
		}
		return nil, o.problem(ctx, problems)
	}
	entry := access.Entry{Action: "policy.replay", Object: digestOf(in.Body.Text), After: map[string]any{"octets": len(in.Body.Text)}}
	var found *history.Replay
	err = o.audited(ctx, entry, func() error {
		until := o.Clock()
		var err error
		found, err = h.Replay(ctx, rules, until.AddDate(0, 0, -max(in.Body.Days, 1)), until, max(in.Body.Limit, 1))
		return err
	})
	if err != nil {
		return nil, err
	}
	return body(*found), nil
}
