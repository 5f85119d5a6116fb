package milter

import (
	"log/slog"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/wiretest"
)

// A connection that the gateway ends between two messages is no error.
func TestShutdownIsNoError(t *testing.T) {
	lines := &wiretest.Log{}
	w := start(t, Config{Log: slog.New(slog.NewTextHandler(lines, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	m := w.dial()
	m.mail("a@example.org")
	m.rcpt("b@example.net")
	m.message(text)
	if err := w.server.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if lines.String() != "" {
		t.Error(lines)
	}
}
