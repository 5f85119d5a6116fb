package tracing

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// receiver is where spans are sent: OTLP by HTTP, as protobuf. It is an otlptrace.Client;
// that of the OpenTelemetry project links gRPC, which nothing here would use.
type receiver struct {
	url    string
	log    *slog.Logger
	client *http.Client
	failed atomic.Bool // the last time
}

func newClient() *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	return &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// Start implements otlptrace.Client.
func (r *receiver) Start(context.Context) error { return nil }

// Stop implements otlptrace.Client.
func (r *receiver) Stop(context.Context) error { return nil }

// UploadTraces implements otlptrace.Client. What the receiver does not take is lost. That is
// logged here, once, and is no error for the library, which would print each.
func (r *receiver) UploadTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	err := r.post(ctx, spans)
	switch was := r.failed.Swap(err != nil); {
	case err != nil && !was:
		r.log.Warn("traces cannot be sent and are dropped; mail is not affected", "error", err)
	case err == nil && was:
		r.log.Info("traces can be sent again")
	}
	return nil
}

// maxResponse is how much of a response is read, so that the connection can be used again.
const maxResponse = 64 << 10

func (r *receiver) post(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	// Of the same form as the ExportTraceServiceRequest of the protocol.
	body, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: spans})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	req.Header.Set("User-Agent", "smimerelay")
	resp, err := r.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, maxResponse)
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s: %s", r.url, resp.Status)
	}
	return nil
}
