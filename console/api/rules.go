package api

import (
	"context"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/smimerelay/smimerelay/console/access"
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
}

// ExplainRequest is one about a plain message from the sender to the recipients.
type ExplainRequest struct{ Body Question }

// QuestionWithMessage is about the message that is in it.
type QuestionWithMessage struct {
	Question
	Message string `json:"message" minLength:"1" maxLength:"5000000" doc:"The message (RFC 5322)."`
}

// ExplainMessageRequest is one.
type ExplainMessageRequest struct{ Body QuestionWithMessage }

// Explain shows what the rules do with a plain message, and why. Nothing is sent. The
// directories are queried, as for LookupCertificates: the two need the same role.
func (o *Operations) Explain(ctx context.Context, in *ExplainRequest) (*Body[gateway.Explanation], error) {
	env, err := in.Body.envelope()
	if err != nil {
		return nil, err
	}
	return o.explain(ctx, env, nil)
}

// ExplainMessage is Explain for a message. One that is encrypted to the gateway is decrypted,
// and the answer tells what was found in it: this is for those who may read mail, and is in
// the audit log.
func (o *Operations) ExplainMessage(ctx context.Context, in *ExplainMessageRequest) (*Body[gateway.Explanation], error) {
	env, err := in.Body.envelope()
	if err != nil {
		return nil, err
	}
	msg, err := message.Parse(message.Canonical([]byte(in.Body.Message)))
	if err != nil {
		return nil, badField("message", err)
	}
	entry := access.Entry{Action: "message.explain", Object: digestOf(in.Body.Message), After: map[string]any{"from": in.Body.From, "to": in.Body.To}}
	var x *Body[gateway.Explanation]
	err = o.audited(ctx, entry, func() error {
		x, err = o.explain(ctx, env, msg)
		return err
	})
	return x, err
}

func (o *Operations) explain(ctx context.Context, env *relay.Envelope, msg *message.Message) (*Body[gateway.Explanation], error) {
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

// badField is an error about a part of what was asked.
func badField(field string, err error) error {
	return huma.Error422UnprocessableEntity(field+": "+err.Error(), &huma.ErrorDetail{Location: "body." + field, Message: err.Error()})
}

// envelope reads what was asked.
func (q *Question) envelope() (*relay.Envelope, error) {
	env := &relay.Envelope{ID: "explain", Listener: q.Listener, Client: relay.Client{User: q.User}}
	var err error
	if q.From != "" && q.From != "<>" {
		if env.Sender, err = address.Parse(q.From); err != nil {
			return nil, badField("from", err)
		}
	}
	if q.Client != "" {
		if env.Client.Addr, err = relay.ParseClient(q.Client); err != nil {
			return nil, badField("client", err)
		}
	}
	for _, text := range q.To {
		a, err := address.Parse(strings.TrimSpace(text))
		if err != nil {
			return nil, badField("to", err)
		}
		env.Recipients = append(env.Recipients, relay.Recipient{Address: a})
	}
	return env, nil
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
