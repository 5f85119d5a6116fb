// Package tracing makes OpenTelemetry traces of messages: one trace a message, whose spans
// are the stages of its way. Without a Tracer in the context nothing is made and nothing
// allocated.
//
// The identifiers of a trace follow from the identifier of its message. So each node, and
// each attempt to deliver after a restart, adds to the same trace, and nothing of it is
// stored with the message or sent with it.
package tracing

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Config says where spans go.
type Config struct {
	// URL is that of a receiver of OTLP by HTTP.
	URL string
	// OneIn says that one of so many messages is traced.
	OneIn             int
	Hostname, Version string
	Log               *slog.Logger
}

// Bounds of what is kept for the receiver. Spans beyond maxWaiting are dropped: mail does not
// wait for it.
const (
	maxWaiting    = 4096
	maxBatch      = 512
	exportEvery   = 2 * time.Second
	exportTimeout = 10 * time.Second
)

// Tracer makes traces; a nil one makes none.
type Tracer struct {
	receiver *receiver
	provider *sdk.TracerProvider
	tracer   trace.Tracer
}

// New returns a Tracer, which connects to the receiver only when it has something for it.
func New(c Config) *Tracer {
	receiver := &receiver{url: c.URL, log: c.Log, client: newClient()}
	p := sdk.NewTracerProvider(
		sdk.WithBatcher(otlptrace.NewUnstarted(receiver),
			sdk.WithMaxQueueSize(maxWaiting), sdk.WithMaxExportBatchSize(maxBatch),
			sdk.WithBatchTimeout(exportEvery), sdk.WithExportTimeout(exportTimeout)),
		sdk.WithIDGenerator(identifiers{}),
		// It looks at the identifier of the trace alone: all spans of a message, on
		// whichever node, are kept or none is.
		sdk.WithSampler(sdk.TraceIDRatioBased(1/float64(c.OneIn))),
		sdk.WithResource(resource.NewSchemaless(
			attribute.String("service.name", "smimerelay"),
			attribute.String("service.version", c.Version),
			attribute.String("host.name", c.Hostname),
		)),
	)
	return &Tracer{receiver: receiver, provider: p, tracer: p.Tracer("smimerelay")}
}

// Close sends what waits, until ctx ends.
func (t *Tracer) Close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	defer t.receiver.client.CloseIdleConnections()
	return t.provider.Shutdown(ctx)
}

// Message returns a context in which Start makes spans of the trace of a message.
func (t *Tracer) Message(ctx context.Context, id string) context.Context {
	if t == nil || id == "" {
		return ctx
	}
	ids := idsOf(id)
	parent := trace.NewSpanContext(trace.SpanContextConfig{TraceID: ids.trace, SpanID: ids.span, Remote: true})
	return context.WithValue(trace.ContextWithSpanContext(ctx, parent), scopeKey{}, t)
}

// Root starts the span of a message as a whole, which began at a time before. Those of
// Message are below it.
func (t *Tracer) Root(ctx context.Context, id string, begun time.Time) Span {
	if t == nil || id == "" {
		return Span{}
	}
	_, span := t.tracer.Start(context.WithValue(ctx, idsKey{}, idsOf(id)), "message",
		trace.WithNewRoot(), trace.WithTimestamp(begun), trace.WithSpanKind(trace.SpanKindServer))
	return Span{span}
}

type (
	scopeKey struct{} // of the Tracer
	idsKey   struct{} // of the ids of a root
)

// ids are the identifiers of the trace of a message and of its root span.
type ids struct {
	trace trace.TraceID
	span  trace.SpanID
}

// idsOf makes the identifiers of the identifier of a message.
func idsOf(message string) ids {
	sum := sha256.Sum256([]byte(message))
	var i ids
	copy(i.trace[:], sum[:])
	copy(i.span[:], sum[len(i.trace):])
	return i
}
