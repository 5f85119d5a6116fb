package directory

import (
	"context"
	"errors"
	"testing"

	"github.com/smimerelay/smimerelay/smime/address"
)

// noting is a source that notes what is asked of it, and can do nothing else.
type noting struct {
	Plain
	versioned uint64
	closed    int
}

func (*noting) Name() string { return "noting" }

func (*noting) Find(context.Context, address.Address) (Finding, error) {
	return Finding{Notes: []string{"a note"}}, nil
}

func (n *noting) Version() uint64 { return n.versioned }

func (n *noting) Close() error {
	n.closed++
	return errors.New("cannot be closed")
}

// TestSourceIsAskedInFull: whatever wraps a source, its version, its notes and its end
// are those of the source.
func TestSourceIsAskedInFull(t *testing.T) {
	t.Parallel()
	s := &noting{}
	d := New(Config{Sources: sources(struct{ Source }{s}), Checker: &fakeChecker{}})
	before := d.Version()
	s.versioned = 7
	if d.Version() == before {
		t.Error("the version of the source does not count")
	}
	if r := d.Lookup(t.Context(), addr(t, bob)); len(r.Answers) != 1 || len(r.Answers[0].Notes) != 1 {
		t.Errorf("got %+v", r)
	}
	if _, _, err := d.Expand(t.Context(), addr(t, bob)); err != nil {
		t.Errorf("a source without groups: %v", err)
	}
	if err := d.Close(); err == nil || s.closed != 1 {
		t.Errorf("closed %d times, %v", s.closed, err)
	}
}
