package guard

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/fault"
)

func TestPanicIsTemporary(t *testing.T) {
	var log bytes.Buffer
	f := func() (err error) {
		defer Recover(&err, slog.New(slog.NewTextHandler(&log, nil)), "message", "x1")
		panic("index out of range")
	}
	err := f()
	if e := fault.Of(err); e.Kind != fault.Internal || !e.Logged || e.Public != "internal error, try again later (x1)" || !errors.Is(err, ErrPanic) {
		t.Errorf("got %+v", err)
	}
	for _, want := range []string{"at=message", "id=x1", "index out of range", "guard_test.go"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q: %s", want, log.String())
		}
	}
}

func TestDo(t *testing.T) {
	bad := errors.New("bad")
	for name, tc := range map[string]struct {
		f    func() error
		want error
	}{
		"nothing": {func() error { return nil }, nil},
		"error":   {func() error { return bad }, bad},
		"panic":   {func() error { panic(bad) }, ErrPanic},
		"nil":     {func() error { panic(nil) }, ErrPanic},
	} {
		err := Do(nil, "test", tc.f)
		if !errors.Is(err, tc.want) || (err == nil) != (tc.want == nil) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && fault.Of(err).Logged {
			t.Errorf("%s: counts as logged, and there was no log", name)
		}
	}
}
