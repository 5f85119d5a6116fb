package publish

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// place is a target of a test: values by object, with one of a stranger's in each.
type place struct {
	wanted map[string][][]byte
	unsure Unsure
	values map[string][]string
	fails  error // after the write was done, or before
	before bool
	writes int
}

func (p *place) Objects() []string { return slices.Collect(maps.Keys(p.wanted)) }

func (p *place) Wanted(_ context.Context, object string, noted [][]byte) ([][]byte, error) {
	return slices.Concat(p.wanted[object], p.unsure.Keep(noted)), nil
}

func (p *place) Write(_ context.Context, c Change) ([][]byte, error) {
	p.writes++
	if p.fails != nil && p.before {
		return nil, p.fails
	}
	list := p.values[c.Object]
	for _, r := range c.Remove {
		list = slices.DeleteFunc(list, func(v string) bool { return v == string(r) })
	}
	for _, w := range c.Wanted {
		if !slices.Contains(list, string(w)) {
			list = append(list, string(w))
		}
	}
	p.values[c.Object] = list
	return c.Wanted, p.fails
}

// TestSync: whatever fails, the next attempt ends with what is wanted, and values of others stay.
func TestSync(t *testing.T) {
	s := testpki.Must(store.Open(t.Context(), store.Config{}))
	defer s.Close()
	p := &place{values: map[string][]string{"x": {"manual"}, "y": {"manual"}}}
	failed := errors.New("the server fails")
	for i, step := range []struct {
		wanted map[string][][]byte
		unsure string
		fails  error
		before bool
		writes int
		want   string
	}{
		{map[string][][]byte{"x": {[]byte("a")}}, "", failed, true, 1, "map[x:[manual] y:[manual]]"},
		{map[string][][]byte{"x": {[]byte("a")}}, "", nil, false, 1, "map[x:[manual a] y:[manual]]"},
		{map[string][][]byte{"x": {[]byte("a")}}, "", nil, false, 0, "map[x:[manual a] y:[manual]]"},
		{map[string][][]byte{"x": {[]byte("b")}}, "", failed, false, 1, "map[x:[manual b] y:[manual]]"},
		{map[string][][]byte{"x": {[]byte("c")}, "y": {[]byte("d")}}, "", nil, false, 2, "map[x:[manual c] y:[manual d]]"},
		{nil, "c", nil, false, 1, "map[x:[manual c] y:[manual]]"},
		{nil, "", failed, false, 1, "map[x:[manual] y:[manual]]"},
		{nil, "", nil, false, 1, "map[x:[manual] y:[manual]]"},
		{nil, "", nil, false, 0, "map[x:[manual] y:[manual]]"},
	} {
		p.wanted, p.unsure = step.wanted, Unsure{sha256.Sum256([]byte(step.unsure)): true}
		p.fails, p.before, p.writes = step.fails, step.before, 0
		_, err := Sync(t.Context(), s, "place", p, nil)
		if !errors.Is(err, step.fails) || p.writes != step.writes || fmt.Sprint(p.values) != step.want {
			t.Errorf("step %d: %v, %d writes, %v; want %d, %s", i, err, p.writes, p.values, step.writes, step.want)
		}
	}
}

// TestSyncGivesUp: a server that fails is not asked for everything.
func TestSyncGivesUp(t *testing.T) {
	s := testpki.Must(store.Open(t.Context(), store.Config{}))
	defer s.Close()
	p := &place{values: map[string][]string{}, fails: errors.New("x"), before: true}
	p.wanted = map[string][][]byte{}
	for i := range 50 {
		p.wanted[fmt.Sprint(i)] = [][]byte{{1}}
	}
	_, err := Sync(t.Context(), s, "place", p, nil)
	if err == nil || p.writes != maxFailures {
		t.Errorf("%d writes, %v", p.writes, err)
	}
	if failures, ok := errors.AsType[Failures](err); !ok || !slices.Equal(failures.Causes(), []string{"x"}) || !strings.HasSuffix(err.Error(), " and 4 more: x") {
		t.Errorf("%v", err)
	}
}

// TestRefusedObjectsKeepNoOthers: where the target works and refuses objects, all the others are
// written in the same attempt.
func TestRefusedObjectsKeepNoOthers(t *testing.T) {
	s := testpki.Must(store.Open(t.Context(), store.Config{}))
	defer s.Close()
	p := &refusing{place{values: map[string][]string{}, wanted: map[string][][]byte{}}}
	for i := range 10 * maxFailures {
		p.wanted[fmt.Sprint("bad ", i)] = [][]byte{{1}}
	}
	p.wanted["good"] = [][]byte{{1}}
	changed, err := Sync(t.Context(), s, "place", p, nil)
	failures, ok := errors.AsType[Failures](err)
	if changed != 1 || !ok || len(failures) != 10*maxFailures || !failures.OfObjects() || !slices.Equal(failures.Causes(), []string{"no rights"}) {
		t.Errorf("%d changed, %v", changed, err)
	}
	refused := failures.Refused()
	if len(refused) != 10*maxFailures {
		t.Errorf("%d refused", len(refused))
	}
	p.wanted["later"] = [][]byte{{1}}
	if changed, err := Sync(t.Context(), s, "place", p, func(o string) bool { return slices.Contains(refused, o) }); changed != 1 || err != nil {
		t.Errorf("without them: %d changed, %v", changed, err)
	}
}

// refusing has objects that it refuses.
type refusing struct{ place }

func (r *refusing) Write(ctx context.Context, c Change) ([][]byte, error) {
	if strings.HasPrefix(c.Object, "bad") {
		return nil, &ObjectError{errors.New("no rights")}
	}
	return r.place.Write(ctx, c)
}

// TestUnsureIsAboutAValue: that one certificate of an address cannot be judged keeps none of its
// others where it is.
func TestUnsureIsAboutAValue(t *testing.T) {
	s := testpki.Must(store.Open(t.Context(), store.Config{}))
	defer s.Close()
	p := &place{values: map[string][]string{"x": {"manual"}}, wanted: map[string][][]byte{"x": {[]byte("a"), []byte("b")}}}
	if _, err := Sync(t.Context(), s, "place", p, nil); err != nil {
		t.Fatal(err)
	}
	p.wanted, p.unsure = nil, Unsure{sha256.Sum256([]byte("a")): true, sha256.Sum256([]byte("never written")): true}
	if _, err := Sync(t.Context(), s, "place", p, nil); err != nil || fmt.Sprint(p.values) != "map[x:[manual a]]" {
		t.Errorf("%v, %v", p.values, err)
	}
}

// TestTwoWriters: what another node wrote at the same time is known, and leaves again.
func TestTwoWriters(t *testing.T) {
	s := testpki.Must(store.Open(t.Context(), store.Config{}))
	defer s.Close()
	values := map[string][]string{"x": {"manual"}}
	other := &place{values: values, wanted: map[string][][]byte{"x": {[]byte("theirs")}}}
	p := &meanwhile{place{values: values, wanted: map[string][][]byte{"x": {[]byte("ours")}}}, func() {
		if _, err := Sync(t.Context(), s, "place", other, nil); err != nil {
			t.Error(err)
		}
	}}
	for range 2 {
		if _, err := Sync(t.Context(), s, "place", p, nil); err != nil {
			t.Fatal(err)
		}
		p.do = func() {}
	}
	if fmt.Sprint(values) != "map[x:[manual ours]]" {
		t.Error(values)
	}
}

// meanwhile lets something be done before the first write.
type meanwhile struct {
	place
	do func()
}

func (m *meanwhile) Write(ctx context.Context, c Change) ([][]byte, error) {
	m.do()
	return m.place.Write(ctx, c)
}

// TestStuckObjectsKeepNoOthersFromTheirTurn: objects that fail each time, enough of them in a row
// to end an attempt, do not keep those behind them from being written.
func TestStuckObjectsKeepNoOthersFromTheirTurn(t *testing.T) {
	s := testpki.Must(store.Open(t.Context(), store.Config{}))
	defer s.Close()
	p := &stuck{place{values: map[string][]string{}, wanted: map[string][][]byte{}}}
	for i := range 2 * maxFailures {
		p.wanted[fmt.Sprintf("bad %02d", i)], p.wanted[fmt.Sprintf("good %02d", i)] = [][]byte{{1}}, [][]byte{{1}}
	}
	for range 200 { // each begins at any object
		if _, err := Sync(t.Context(), s, "place", p, nil); err == nil {
			t.Fatal("nothing failed")
		}
		if len(p.values) == 2*maxFailures {
			return
		}
	}
	t.Errorf("written are %d", len(p.values))
}

// stuck fails for some objects.
type stuck struct{ place }

func (s *stuck) Write(ctx context.Context, c Change) ([][]byte, error) {
	if strings.HasPrefix(c.Object, "bad") {
		return nil, errors.New("x")
	}
	return s.place.Write(ctx, c)
}
