// Package demo makes a small working set-up in a folder, starts the real gateway
// on it, sends messages through it from outside over SMTP, and checks with the
// keys of the recipients what came out.
//
// Nothing here knows how the gateway works: it is a child process with a
// configuration file, and everything is judged by what goes in and comes out.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// Config says what to run.
type Config struct {
	// Dir is the folder: made if it is missing, replaced if it is a demo's.
	Dir string
	// Program is the smimerelay that serves.
	Program string
	// Command is how people call Program, for the text.
	Command string
	// Serve keeps the gateway running with its console, until the context ends.
	Serve bool
	// Out receives the table.
	Out io.Writer
	// Clock is the time for the messages made here.
	Clock func() time.Time
}

// ErrUnexpected means that at least one outcome was not the expected one.
var ErrUnexpected = errors.New("an outcome was not the expected one")

// Run makes the set-up, sends the messages and prints what became of them.
func Run(ctx context.Context, c Config) error {
	w, err := makeWorld(c.Dir, c.Serve, c.Clock)
	if err != nil {
		return err
	}
	if err := importIdentity(ctx, c.Program, w); err != nil {
		return err
	}
	if c.Serve {
		if err := makeUpHistory(ctx, w); err != nil {
			return err
		}
	}
	s, err := startSink(w.ports.sink, w.outbox())
	if err != nil {
		return err
	}
	defer s.close()
	g, err := startGateway(ctx, c.Program, w)
	if err != nil {
		return err
	}
	defer g.stop()

	p := &play{world: w, sink: s, gateway: g}
	var results []result
	for _, sc := range scenes(w) {
		results = append(results, p.perform(ctx, sc)...)
	}
	if c.Serve {
		fmt.Fprint(c.Out, renderTable(results))
		return serveConsole(ctx, c, g)
	}
	if err := g.stop(); err != nil {
		return err
	}
	fmt.Fprint(c.Out, renderTable(results))
	printNext(c, w)
	for _, r := range results {
		if !r.expected {
			return fmt.Errorf("%w; the gateway's log is %s", ErrUnexpected, w.log())
		}
	}
	return nil
}

// printNext says what one can do with what was made.
func printNext(c Config, w *world) {
	fmt.Fprintf(c.Out, `
Delivered messages are in %[1]s. To look into the first one:

  openssl cms -decrypt -in %[1]s/%[2]s -recip %[3]s -inkey %[3]s | openssl cms -verify -CAfile %[4]s

Alice's key is encrypted in the store of the gateway, next to certificates from received mail:

  %[5]s cert list --config %[6]s

What became of each message to Bob, and why:

  %[5]s trace --config %[6]s %[8]s

The same gateway for good (its next hop is 127.0.0.1:%[7]d):

  %[5]s serve --config %[6]s
`, w.outbox(), fileName("1", bob, false), w.identityFile(bob), w.path("ca.pem"), c.Command, w.path("config.toml"), w.ports.sink, bob)
}
