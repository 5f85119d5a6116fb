package demo

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/history"
	"github.com/smimerelay/smimerelay/smime/address"
)

// serveConsole tells how to sign in to the console, and waits until ctx ends.
func serveConsole(ctx context.Context, c Config, g *gateway) error {
	if err := g.waitFor(ctx, g.world.ports.console); err != nil {
		return err
	}
	config := g.world.path("config.toml")
	if out, err := exec.CommandContext(ctx, c.Program, "console", "account", "add", "--config", config, "--role", "administrator", "--no-password", "demo").CombinedOutput(); err != nil {
		return fmt.Errorf("add an account: %w: %s", err, out)
	}
	link, err := exec.CommandContext(ctx, c.Program, "console", "account", "link", "--config", config, "demo").Output()
	if err != nil {
		return fmt.Errorf("make a link: %w", err)
	}
	fmt.Fprintf(c.Out, `
The console runs until you press Ctrl-C. This link signs you in, once, within 15 minutes:

  %s

Another one: %s console account link --config %s demo
`, strings.TrimSpace(string(link)), c.Command, config)
	select {
	case <-ctx.Done():
		if err := g.stop(); !errors.Is(err, context.Canceled) { // the interrupt ends both
			return err
		}
		return nil
	case <-g.ended:
		return errors.Join(errors.New("the gateway exited"), g.err)
	}
}

// seed makes the same day each time.
const seed = 20260102

// makeUpHistory writes a day of messages that never were, for the plots of the console.
func makeUpHistory(ctx context.Context, w *world) error {
	h, err := history.Open(ctx, history.Place{Path: w.path("history.db")})
	if err != nil {
		return err
	}
	var rows []history.Row
	random := rand.New(rand.NewPCG(seed, seed))
	for hour := range 24 {
		at := w.clock().Add(-time.Duration(hour) * time.Hour)
		busy := 4
		if at.Hour() >= 7 && at.Hour() < 19 {
			busy = 30
		}
		for i := range busy/2 + random.IntN(busy) {
			r, err := madeUp(random, at.Add(-time.Duration(random.IntN(3600))*time.Second), fmt.Sprintf("made-up-%d-%d", hour, i))
			if err != nil {
				return errors.Join(err, h.Close())
			}
			rows = append(rows, r)
		}
	}
	_, err = h.Write(ctx, history.Batch{Rows: rows})
	return errors.Join(err, h.Close())
}

// madeUp is one of these messages.
func madeUp(random *rand.Rand, at time.Time, id string) (history.Row, error) {
	to := []string{bob, carol, erin, frank, greta}[random.IntN(5)]
	r := history.Row{
		Time: at, ID: id, MessageID: id + "@example.org", Listener: "outbound", Client: "127.0.0.1", Direction: "outbound",
		Rule: "default", Size: int64(2000 + random.IntN(200_000)), Outcome: history.Delivered, Protection: "signed",
		Events: []history.Event{{Time: at, Kind: history.Attempt, Attempt: 1, Host: "mx.example.net"}},
	}
	switch to {
	case bob, erin:
		r.Rule, r.Protection, r.Cipher = "confidential", "signed, encrypted", "aes-256-gcm"
	case carol:
		r.Rule, r.Outcome, r.Protection, r.Events = "confidential", history.Refused, "", nil
		r.Reason, r.Cause = "no valid S/MIME certificate of the recipient", "certificate"
	case frank:
		r.Rule, r.Outcome, r.Protection, r.Events = "project", history.Stripped, "", nil
		r.Reason, r.Cause = "no valid S/MIME certificate of the recipient", "certificate"
	}
	if random.IntN(20) == 0 {
		r.Outcome, r.Events = history.Deferred, nil
	}
	var err error
	if r.Sender, err = address.Parse(alice); err != nil {
		return r, err
	}
	r.Recipient, err = address.Parse(to)
	return r, err
}
