package main

import (
	"fmt"
	"log/slog"
	"os"

	"github.com/smimerelay/smimerelay/relay/policytest"
	"github.com/smimerelay/smimerelay/service"
)

type policyCmd struct {
	Test   policyTestCmd   `cmd:"" help:"Run test cases against the rules."`
	Replay policyReplayCmd `cmd:"" help:"Try other rules on the mail of the last days."`
}

type policyTestCmd struct {
	Config string   `default:"${config}" placeholder:"FILE" help:"The configuration file with the rules."`
	JSON   bool     `name:"json" help:"Print the results as JSON."`
	Files  []string `arg:"" name:"file" help:"File with [[case]] tables."`
}

// Help is shown below the summary.
func (policyTestCmd) Help() string {
	return `A case describes a message (from, author, to, bcc, user, client, listener, headers, body, attachments), the recipients with certificates (certificates, unknown), the senders with identities (identities), group membership (groups, unknown_groups), the addresses that the directory lists for the user (listed), and the expected result: expect = { "bob@example.net" = "signed, encrypted by partners" }, or refused = "550" for the whole message. A case with found = { result = "fail", signed = true } is of inbound mail, for the inbound rules: found says what verification and decryption found (result, reason, chain, signed, encrypted, signers, algorithms, cipher), and the results are delivered, tagged, quarantined, refused and deferred. Nothing is looked up and nothing is sent.`
}

func (policyTestCmd) examples() string {
	return `smimerelay policy test cases.toml
		smimerelay policy test --config new.toml cases.toml && mv new.toml /etc/smimerelay/config.toml`
}

// Run runs the cases and prints what failed.
func (c *policyTestCmd) Run(a *app) error {
	parts, problems := service.Load(c.Config, a.clock, slog.New(slog.DiscardHandler))
	if len(problems) > 0 {
		return problems
	}
	defer parts.Close()
	var all []policytest.Result
	for _, name := range c.Files {
		data, err := os.ReadFile(name)
		if err != nil {
			return unusable(fmt.Errorf("%w; check the path", err))
		}
		cases, err := policytest.Parse(data)
		if err != nil {
			return unusable(fmt.Errorf("%s: %w", name, err))
		}
		results, err := policytest.Run(background(), parts.Gateway.Config, cases)
		if err != nil {
			return unusable(fmt.Errorf("%s: %w", name, err))
		}
		for i := range results {
			results[i].File = name
		}
		all = append(all, results...)
	}
	return c.print(a, all)
}

func (c *policyTestCmd) print(a *app, results []policytest.Result) error {
	failed, p := 0, a.page()
	for _, r := range results {
		if len(r.Failures) > 0 {
			failed++
		}
		for _, f := range r.Failures {
			if !c.JSON {
				p.line("%s:%d: %s: %s", r.File, r.Line, r.Name, f)
			}
		}
	}
	var err error
	if c.JSON {
		err = a.printJSON(results)
	} else {
		p.line("%d cases, %d failed", len(results), failed)
		err = p.err
	}
	if err == nil && failed > 0 {
		return &statusError{status: exitNegative}
	}
	return err
}
