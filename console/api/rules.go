package api

import (
	"context"
	"net/netip"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/gateway"
	"github.com/smimerelay/smimerelay/relay/policytest"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/message"
)

// Question is a message that an explanation is asked for.
type Question struct {
	From     string   `json:"from" maxLength:"320" doc:"Envelope sender; <> is the null sender."`
	To       []string `json:"to" minItems:"1" maxItems:"50" doc:"Recipients."`
	Listener string   `json:"listener,omitempty" maxLength:"100" doc:"Name of the listener that receives the message."`
	Client   string   `json:"client,omitempty" maxLength:"64" doc:"Address of the client."`
	User     string   `json:"user,omitempty" maxLength:"255" doc:"Name the client authenticated as."`
	Message  string   `json:"message,omitempty" maxLength:"5000000" doc:"The message (RFC 5322); absent is a plain message from the sender to the recipients."`
}

// ExplainRequest is one.
type ExplainRequest struct{ Body Question }

// Explain shows what the rules do with a message, and why. Nothing is sent.
func (o *Operations) Explain(ctx context.Context, in *ExplainRequest) (*Body[gateway.Explanation], error) {
	env, msg, err := in.Body.parse()
	if err != nil {
		return nil, err
	}
	end, err := o.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	p, release := o.Gateway.Use()
	defer release()
	x, err := p.Gateway.Explain(ctx, env, msg)
	if err != nil {
		return nil, huma.Error422UnprocessableEntity("explain: " + err.Error())
	}
	return body(*x), nil
}

// parse reads what was asked.
func (q *Question) parse() (*relay.Envelope, *message.Message, error) {
	bad := func(field string, err error) error {
		return huma.Error422UnprocessableEntity(field+": "+err.Error(), &huma.ErrorDetail{Location: "body." + field, Message: err.Error()})
	}
	env := &relay.Envelope{ID: "explain", Listener: q.Listener, Client: relay.Client{User: q.User}}
	var err error
	if q.From != "" && q.From != "<>" {
		if env.Sender, err = address.Parse(q.From); err != nil {
			return nil, nil, bad("from", err)
		}
	}
	if q.Client != "" {
		if env.Client.Addr, err = netip.ParseAddr(q.Client); err != nil {
			return nil, nil, bad("client", err)
		}
	}
	for _, text := range q.To {
		a, err := address.Parse(strings.TrimSpace(text))
		if err != nil {
			return nil, nil, bad("to", err)
		}
		env.Recipients = append(env.Recipients, relay.Recipient{Address: a})
	}
	if q.Message == "" {
		return env, nil, nil
	}
	msg, err := message.Parse(message.Canonical([]byte(q.Message)))
	if err != nil {
		return nil, nil, bad("message", err)
	}
	return env, msg, nil
}

// policyCases are test cases for the rules.
type policyCases struct {
	Body struct {
		Cases string `json:"cases" minLength:"1" maxLength:"500000" doc:"[[case]] tables, as smimerelay policy test reads them."`
	}
}

// maxCases is how many one request runs.
const maxCases = 1000

// testPolicy runs test cases against the rules. Nothing is looked up.
func (o *Operations) testPolicy(ctx context.Context, in *policyCases) (*Body[List[policytest.Result]], error) {
	cases, err := policytest.Parse([]byte(in.Body.Cases))
	if err != nil {
		return nil, huma.Error422UnprocessableEntity("cases: " + err.Error())
	}
	if len(cases) > maxCases {
		return nil, huma.Error422UnprocessableEntity("more than 1000 cases at once; run them in parts")
	}
	end, err := o.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	p, release := o.Gateway.Use()
	defer release()
	results, err := policytest.Run(ctx, p.Gateway.Config, cases)
	if err != nil {
		return nil, huma.Error422UnprocessableEntity("cases: " + err.Error())
	}
	return body(listOf(results, len(results), nil)), nil
}
