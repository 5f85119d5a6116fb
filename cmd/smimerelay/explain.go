package main

import (
	"fmt"
	"log/slog"

	"github.com/smimerelay/smimerelay/cmd/smimerelay/service"
	"github.com/smimerelay/smimerelay/internal/address"
	"github.com/smimerelay/smimerelay/internal/message"
	"github.com/smimerelay/smimerelay/relay"
)

type explainCmd struct {
	Config  string   `default:"${config}" placeholder:"FILE" help:"The configuration file."`
	From    string   `required:"" placeholder:"ADDR" help:"Envelope sender; <> is the null sender."`
	To      []string `required:"" sep:"none" placeholder:"ADDR" help:"Recipient. Repeatable."`
	JSON    bool     `name:"json" help:"Print the explanation as JSON."`
	Message string   `arg:"" optional:"" help:"File with the message, - for standard input; a plain one from --from to --to when absent."`
}

// Help is shown below the summary.
func (explainCmd) Help() string {
	return `Takes the same steps as the gateway, lookups included, and sends nothing: the rule and its line for each recipient, what each directory answered and how fast, every certificate seen with the verdict on it, the cipher and why.

With --from an address of the configured domains, or <>, the message counts as outbound; all others are inbound. The exit status is 1 when somebody would not get the message.`
}

func (explainCmd) examples() string {
	return `smimerelay explain --from alice@example.org --to bob@example.net
		smimerelay explain --from alice@example.org --to bob@example.net --to carol@example.net --json message.eml`
}

// Run prints what the gateway would do and why, and does nothing.
func (c *explainCmd) Run(a *app) error {
	from, to, err := c.envelope()
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
	x, err := parts.Gateway.Explain(background(), from, to, msg)
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

func (c *explainCmd) envelope() (from address.Address, to []address.Address, err error) {
	if c.From != "" && c.From != "<>" {
		if from, err = address.Parse(c.From); err != nil {
			return from, nil, fmt.Errorf("--from: %w; write local@domain", err)
		}
	}
	for _, text := range c.To {
		addr, err := address.Parse(text)
		if err != nil {
			return from, nil, fmt.Errorf("--to: %w; write local@domain", err)
		}
		to = append(to, addr)
	}
	return from, to, nil
}

// explainStatus is a negative answer when somebody does not get the message.
func explainStatus(x *relay.Explanation) error {
	if x.Refused != "" {
		return &statusError{status: exitNegative}
	}
	for _, r := range x.Recipients {
		switch r.Outcome {
		case "refused", "deferred", "stripped", "held":
			return &statusError{status: exitNegative}
		}
	}
	return nil
}
