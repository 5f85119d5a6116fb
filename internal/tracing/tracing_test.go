package tracing

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/smimerelay/smimerelay/internal/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stageOf is what a package on the way of a message does.
func stageOf(ctx context.Context) {
	Past(ctx, "before", time.Time{})
	ctx, span := Start(ctx, "stage")
	span.Text("source", "ldap:staff")
	span.Number("recipients", 3)
	_ = Continue(context.Background(), ctx)
	span.End(nil)
}

// TestNothingWithoutTracer: what is off costs no memory.
func TestNothingWithoutTracer(t *testing.T) {
	type key struct{}
	ctx := context.WithValue(t.Context(), key{}, 1)
	var off *Tracer
	begun := time.Now()
	n := testing.AllocsPerRun(100, func() {
		ctx := off.Message(ctx, "4cWq3Y2JzXz9sQ")
		stageOf(ctx)
		off.Root(ctx, "4cWq3Y2JzXz9sQ", begun).End(nil)
	})
	if n != 0 {
		t.Errorf("%v allocations a message", n)
	}
	if err := off.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// serve returns the address of a receiver that keeps the spans it gets.
func serve(t *testing.T, f func(*tracepb.Span)) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var data tracepb.TracesData
		if err := errors.Join(err, proto.Unmarshal(body, &data)); err != nil {
			t.Error(err)
		}
		for _, r := range data.GetResourceSpans() {
			for _, scope := range r.GetScopeSpans() {
				for _, s := range scope.GetSpans() {
					f(s)
				}
			}
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// TestOneOfSome: two gateways keep the same messages, with all of their stages.
func TestOneOfSome(t *testing.T) {
	const messages, oneIn = 2000, 10
	var mu sync.Mutex
	stages := map[string]int{}
	url := serve(t, func(s *tracepb.Span) {
		mu.Lock()
		defer mu.Unlock()
		stages[string(s.GetTraceId())]++
	})
	for range 2 {
		tracer := New(Config{URL: url, OneIn: oneIn, Log: slog.New(slog.DiscardHandler)})
		for i := range messages {
			id := fmt.Sprint("message ", i)
			stageOf(tracer.Message(t.Context(), id))
			tracer.Root(t.Context(), id, time.Now()).End(nil)
		}
		if err := tracer.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(stages); n < messages/oneIn*7/10 || n > messages/oneIn*13/10 {
		t.Errorf("%d of %d messages are traced, want about one in %d", n, messages, oneIn)
	}
	for id, n := range stages {
		if n != 6 {
			t.Errorf("%x has %d spans, want 3 of each gateway", id, n)
		}
	}
}

// TestBounded: spans that a silent receiver does not take are dropped, and no one waits.
func TestBounded(t *testing.T) {
	answer := make(chan struct{})
	var got atomic.Int64
	url := serve(t, func(*tracepb.Span) {
		<-answer
		got.Add(1)
	})
	tracer := New(Config{URL: url, OneIn: 1, Log: slog.New(slog.DiscardHandler)})
	const spans = 20 * maxWaiting
	for i := range spans / 2 {
		stageOf(tracer.Message(t.Context(), fmt.Sprint(i)))
	}
	close(answer)
	if err := tracer.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := got.Load(); n == 0 || n > spans/2 {
		t.Errorf("%d of %d spans were kept for the receiver", n, spans)
	}
}

// TestErrorsWithoutText: of an error its kind is there, and not what it says.
func TestErrorsWithoutText(t *testing.T) {
	var span *tracepb.Span
	url := serve(t, func(s *tracepb.Span) { span = s })
	tracer := New(Config{URL: url, OneIn: 1, Log: slog.New(slog.DiscardHandler)})
	_, s := Start(tracer.Message(t.Context(), "1"), "lookup")
	s.Text("source", "bad \xff name")
	s.End(fault.New(fault.Unavailable, "bob@example.net is unavailable", errors.New("secret")))
	if err := tracer.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	text := span.String()
	if strings.Contains(text, "bob") || strings.Contains(text, "secret") || !strings.Contains(text, `"unavailable"`) || !strings.Contains(text, "bad \ufffd name") {
		t.Error(text)
	}
}
