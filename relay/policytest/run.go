package policytest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/gateway"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/message"
)

// Result is how a case came out.
type Result struct {
	// File is for the caller to fill in.
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
	Name string `json:"name"`
	// Failures are empty when everything is as expected.
	Failures []string `json:"failures,omitempty"`
}

// Run runs cases against the rules, triggers and entitlements of a gateway.
func Run(ctx context.Context, gc gateway.Config, cases []Case) ([]Result, error) {
	results := make([]Result, 0, len(cases))
	for i := range cases {
		c := &cases[i]
		failures, err := c.run(ctx, gc)
		if err != nil {
			return nil, fmt.Errorf("line %d: case %q: %w", c.line, c.Name, err)
		}
		results = append(results, Result{Name: c.Name, Line: c.line, Failures: failures})
	}
	return results, nil
}

func (c *Case) run(ctx context.Context, gc gateway.Config) ([]string, error) {
	world, err := suppose(c)
	if err != nil {
		return nil, err
	}
	gc.Directory, gc.Groups, gc.Keys, gc.Log = world, world, world, nil
	if gc.Issuer != nil {
		gc.Issuer = world
	}
	g, err := gateway.New(gc)
	if err != nil {
		return nil, err
	}
	defer g.Close()
	env, err := c.envelope()
	if err != nil {
		return nil, err
	}
	msg, err := c.message()
	if err != nil {
		return nil, err
	}
	if c.Found == nil {
		return c.compare(g.ExplainEnvelope(ctx, env, msg)), nil
	}
	found, err := c.Found.facts()
	if err != nil {
		return nil, err
	}
	return c.compare(asRecipients(g.ExplainFound(ctx, env, msg, found))), nil
}

func (c *Case) compare(x *gateway.Explanation) []string {
	if c.Refused != "" || x.Refused != "" {
		if c.Refused == "" || !strings.HasPrefix(x.Refused, c.Refused) {
			return []string{fmt.Sprintf("the message: refused with %q, expected %q", x.Refused, c.Refused)}
		}
		return nil
	}
	var failures []string
	left := maps.Clone(c.Expect)
	for _, r := range x.Recipients {
		want := c.Expect[r.Address]
		delete(left, r.Address)
		got := r.Outcome
		if r.Report != "" {
			got = "reported"
		}
		if strings.Contains(want, " by ") {
			got += " by " + r.Rule
		}
		if got != want {
			failures = append(failures, fmt.Sprintf("%s: %s, expected %s%s", r.Address, got, orNothing(want), because(r.Reason)))
		}
	}
	for _, addr := range slices.Sorted(maps.Keys(left)) {
		failures = append(failures, addr+": is expected and is no recipient")
	}
	return failures
}

func orNothing(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return " (" + reason + ")"
}

func (c *Case) envelope() (*relay.Envelope, error) {
	env := &relay.Envelope{ID: "test", Listener: c.Listener, Client: relay.Client{User: c.User}}
	var err error
	if c.From != "<>" {
		if env.Sender, err = address.Parse(c.From); err != nil {
			return nil, err
		}
	}
	if c.Client != "" {
		if env.Client.Addr, err = relay.ParseClient(c.Client); err != nil {
			return nil, err
		}
	}
	for _, s := range slices.Concat(c.To, c.Bcc) {
		a, err := address.Parse(s)
		if err != nil {
			return nil, err
		}
		env.Recipients = append(env.Recipients, relay.Recipient{Address: a})
	}
	return env, nil
}

// message writes the message that the case describes.
func (c *Case) message() (*message.Message, error) {
	author := c.Author
	if author == "" && c.From != "<>" {
		author = c.From
	}
	var b strings.Builder
	line := func(s string) { b.WriteString(s + "\r\n") }
	if author != "" {
		line("From: " + author)
	}
	if len(c.To) > 0 {
		line("To: " + strings.Join(c.To, ",\r\n "))
	}
	for _, h := range c.Headers {
		line(h)
	}
	if len(c.Attachments) == 0 {
		line("")
		line(strings.ReplaceAll(c.Body, "\n", "\r\n"))
		return message.Parse([]byte(b.String()))
	}
	line("MIME-Version: 1.0")
	line(`Content-Type: multipart/mixed; boundary="part"`)
	line("")
	line("--part\r\n\r\n" + strings.ReplaceAll(c.Body, "\n", "\r\n"))
	for _, name := range c.Attachments {
		line("--part\r\nContent-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=\"" + name + "\"\r\n\r\nx")
	}
	line("--part--")
	return message.Parse([]byte(b.String()))
}
