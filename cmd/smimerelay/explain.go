package main

import (
	"fmt"
	"log/slog"

	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/gateway"
	"github.com/smimerelay/smimerelay/service"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/message"
)

type explainCmd struct {
	Config string   `default:"${config}" placeholder:"FILE" help:"The configuration file."`
	From   string   `required:"" placeholder:"ADDR" help:"Envelope sender; <> is the null sender."`
	To     []string `required:"" sep:"none" placeholder:"ADDR" help:"Recipient. Repeatable."`

	Listener string `placeholder:"NAME" help:"Name of the listener that receives the message."`
	Client   string `placeholder:"IP" help:"Address of the client."`
	User     string `placeholder:"NAME" help:"Name the client authenticated as."`

	JSON    bool   `name:"json" help:"Print the explanation as JSON."`
	Message string `arg:"" optional:"" help:"File with the message, - for standard input (default: a plain message from --from to --to)."`
}

// Help is shown below the summary.
func (explainCmd) Help() string {
	return `Takes the same steps as the gateway, lookups included, but sends nothing. It prints, for each recipient, the rule and its line, the answer and response time of each directory, each certificate with the result of its checks, and the selected cipher with the reason.

With --listener, the message is treated as if that listener had received it from the client that --client and --user describe. Without it, a message from <> or from an address in the configured domains is treated as outbound, from a client that may send outbound mail; --client and --user set the client for conditions and entitlements. The outbound rules always apply to recipients outside the configured domains. The exit status is 1 if a recipient would not get the message.`
}

func (explainCmd) examples() string {
	return `smimerelay explain --from alice@example.org --to bob@example.net
		smimerelay explain --from alice@example.org --to bob@example.net --to carol@example.net --json message.eml
		smimerelay explain --listener inbound --client 192.0.2.7 --from alice@example.org --to bob@example.net`
}

// Run prints what the gateway would do and why, and does nothing.
func (c *explainCmd) Run(a *app) error {
	env, err := c.envelope()
	if err != nil {
		return unusable(err)
	}
	var msg *message.Message
	if c.Message != "" {
		if msg, err = a.readCanonical(c.Message); err != nil {
			return err
		}
	}
	parts, problems := service.Load(c.Config, a.clock, slog.New(slog.DiscardHandler))
	if len(problems) > 0 {
		return problems
	}
	defer parts.Close()
	x, err := parts.Gateway.Explain(background(), env, msg)
	if err != nil {
		return unusable(fmt.Errorf("explain: %w", err))
	}
	if c.JSON {
		err = a.printJSON(x)
	} else {
		err = printExplanation(a.stdout, x, c.Config)
	}
	if err != nil {
		return err
	}
	return explainStatus(x)
}

func (c *explainCmd) envelope() (*relay.Envelope, error) {
	env := &relay.Envelope{ID: "explain", Listener: c.Listener, Client: relay.Client{User: c.User}}
	var err error
	if c.From != "" && c.From != "<>" {
		if env.Sender, err = address.Parse(c.From); err != nil {
			return nil, fmt.Errorf("--from: %w; write local@domain", err)
		}
	}
	if c.Client != "" {
		if env.Client.Addr, err = relay.ParseClient(c.Client); err != nil {
			return nil, fmt.Errorf("--client: %w", err)
		}
	}
	for _, text := range c.To {
		a, err := address.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("--to: %w; write local@domain", err)
		}
		env.Recipients = append(env.Recipients, relay.Recipient{Address: a})
	}
	return env, nil
}

// explainStatus is a negative answer when a recipient does not get the message.
func explainStatus(x *gateway.Explanation) error {
	missed := x.Refused != ""
	for _, r := range x.Recipients {
		missed = missed || notReceived(r.Outcome)
	}
	for _, i := range x.Inbound {
		for _, o := range i.Outcomes {
			missed = missed || notReceived(o.Outcome)
		}
	}
	if missed {
		return &statusError{status: exitNegative}
	}
	return nil
}

// notReceived reports whether a recipient with this outcome gets no message now.
func notReceived(outcome string) bool {
	switch outcome {
	case "refused", "deferred", "stripped", "held", "quarantined", "discarded":
		return true
	}
	return false
}
