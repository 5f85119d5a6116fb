package milter

import (
	"log"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/wiretest"
)

// A connection that we end between two messages is no error: the library, which
// logs what it reads as one, is told of its end.
func TestShutdownIsNoError(t *testing.T) {
	lines := &wiretest.Log{}
	before := log.Writer()
	log.SetOutput(lines)
	defer log.SetOutput(before)
	w := start(t, Config{})
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
