package tracing

import (
	"context"
	"math/rand/v2"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/smimerelay/smimerelay/internal/fault"
)

// Span is a stage of the way of a message; the zero Span is one that is not recorded.
type Span struct{ span trace.Span }

// Start starts a stage. It is one of the stage of ctx, and those that are started with the
// context that it returns are of it.
func Start(ctx context.Context, stage string) (context.Context, Span) {
	t, _ := ctx.Value(scopeKey{}).(*Tracer)
	if t == nil {
		return ctx, Span{}
	}
	ctx, span := t.tracer.Start(ctx, stage)
	return ctx, Span{span}
}

// Past notes a stage that ends now and began at a time before.
func Past(ctx context.Context, stage string, begun time.Time) {
	if t, _ := ctx.Value(scopeKey{}).(*Tracer); t != nil {
		_, span := t.tracer.Start(ctx, stage, trace.WithTimestamp(begun))
		span.End()
	}
}

// Continue returns ctx with the stage of another context: for work that goes on when the one
// who asked for it has gone.
func Continue(ctx, asking context.Context) context.Context {
	t, _ := asking.Value(scopeKey{}).(*Tracer)
	if t == nil {
		return ctx
	}
	return context.WithValue(trace.ContextWithSpan(ctx, trace.SpanFromContext(asking)), scopeKey{}, t)
}

// Text notes an attribute, whose key is one of docs/logs.md. An empty one is left out.
func (s Span) Text(key, value string) {
	if s.span != nil && value != "" {
		s.span.SetAttributes(attribute.String(key, strings.ToValidUTF8(value, "\ufffd")))
	}
}

// Number is Text for numbers.
func (s Span) Number(key string, n int) {
	if s.span != nil {
		s.span.SetAttributes(attribute.Int(key, n))
	}
}

// End ends the stage. Of an error only its kind is noted: its text may have addresses.
func (s Span) End(err error) {
	if s.span == nil {
		return
	}
	if err != nil {
		kind := fault.Of(err).Kind.String()
		s.span.SetAttributes(attribute.String("kind", kind))
		s.span.SetStatus(codes.Error, kind)
	}
	s.span.End()
}

// identifiers is the source of identifiers of spans.
type identifiers struct{}

// NewIDs implements sdk.IDGenerator for roots, whose ids are in the context.
func (g identifiers) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	i, _ := ctx.Value(idsKey{}).(ids)
	return i.trace, i.span
}

// NewSpanID implements sdk.IDGenerator.
func (identifiers) NewSpanID(context.Context, trace.TraceID) (id trace.SpanID) {
	for !id.IsValid() {
		for i, n := 0, rand.Uint64(); i < len(id); i, n = i+1, n>>8 { //nolint:gosec // G404: it names a span, and may be guessed
			id[i] = byte(n)
		}
	}
	return id
}
