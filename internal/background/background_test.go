package background

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/smimerelay/smimerelay/internal/guard"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestOneCallForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(nil, "test")
		defer r.Close()
		g := NewGroup[int](r)
		leave, calls := make(chan struct{}), atomic.Int32{}
		call := func(ctx context.Context) (int, error) {
			calls.Add(1)
			<-leave
			return 7, ctx.Err()
		}
		first, cancel := context.WithCancel(t.Context())
		go func() {
			if _, err := g.Do(first, "a", call); !errors.Is(err, context.Canceled) {
				t.Errorf("who stopped waiting got %v", err)
			}
		}()
		synctest.Wait()
		cancel()
		synctest.Wait()
		for range 5 {
			go func() {
				if v, err := g.Do(t.Context(), "a", call); v != 7 || err != nil {
					t.Errorf("got %d, %v", v, err)
				}
			}()
		}
		if v, err := g.Do(t.Context(), "b", func(context.Context) (int, error) { return 8, nil }); v != 8 || err != nil {
			t.Errorf("another key: %d, %v", v, err)
		}
		synctest.Wait() // until all five wait
		close(leave)
		synctest.Wait()
		if n := calls.Load(); n != 1 {
			t.Errorf("%d calls", n)
		}
	})
}

func TestErrorsReachAllAndAreNotKept(t *testing.T) {
	r := New(nil, "test")
	defer r.Close()
	g := NewGroup[string](r)
	bad := errors.New("bad")
	if v, err := g.Do(t.Context(), "a", func(context.Context) (string, error) { return "part", bad }); v != "part" || !errors.Is(err, bad) {
		t.Errorf("got %q, %v", v, err)
	}
	if v, err := g.Do(t.Context(), "a", func(context.Context) (string, error) { return "good", nil }); v != "good" || err != nil {
		t.Errorf("got %q, %v", v, err)
	}
}

func TestPanicIsAnError(t *testing.T) {
	var log bytes.Buffer
	r := New(slog.New(slog.NewTextHandler(&log, nil)), "the test")
	g := NewGroup[int](r)
	if _, err := g.Do(t.Context(), "a", func(context.Context) (int, error) { panic("oh") }); !errors.Is(err, guard.ErrPanic) {
		t.Errorf("got %v", err)
	}
	r.Go(func(context.Context) { panic("alone") })
	r.Close()
	if n := strings.Count(log.String(), `at="the test"`); n != 2 || !strings.Contains(log.String(), "alone") {
		t.Errorf("logged: %s", log.String())
	}
}

func TestClose(t *testing.T) {
	r := New(nil, "test")
	g := NewGroup[int](r)
	begun, ended := make(chan struct{}), atomic.Bool{}
	g.Start("a", func(ctx context.Context) (int, error) {
		close(begun)
		<-ctx.Done()
		ended.Store(true)
		return 0, ctx.Err()
	})
	<-begun
	r.Close()
	if !ended.Load() {
		t.Error("Close did not wait")
	}
	unwanted := func(context.Context) (int, error) {
		t.Error("called after Close")
		return 0, nil
	}
	g.Start("a", unwanted)
	if _, err := g.Do(t.Context(), "a", unwanted); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if r.Go(func(context.Context) { t.Error("called after Close") }) {
		t.Error("begun after Close")
	}
}

func TestLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, end := context.WithCancel(t.Context())
		longer, cancel := Linger(ctx, time.Minute)
		defer cancel()
		end()
		began := time.Now()
		<-longer.Done()
		after := time.Since(began)
		if after != time.Minute {
			t.Errorf("it ended after %s", after)
		}
	})
}
