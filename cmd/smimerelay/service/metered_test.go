package service

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/address"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/internal/message"
	"github.com/smimerelay/smimerelay/internal/observe"
	"github.com/smimerelay/smimerelay/relay"
)

// crashing is a Handler whose processing crashed and was caught.
type crashing struct{ relay.Handler }

func (crashing) Direction(*relay.Envelope, address.Address) enforce.Direction { return enforce.Inbound }

func (crashing) Process(context.Context, *relay.Envelope, *message.Message) (*relay.Outcome, error) {
	return nil, fault.New(fault.Internal, "internal error", fmt.Errorf("%w: index out of range", relay.ErrPanic))
}

func TestCrashesAreCounted(t *testing.T) {
	metrics := observe.NewMetrics(observe.Depth{})
	m := metered{Handler: crashing{}, metrics: metrics, clock: time.Now}
	msg, err := message.Parse([]byte("Subject: x\r\n\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	env := &relay.Envelope{Listener: "in", Recipients: []relay.Recipient{{}}}
	if _, err := m.Process(t.Context(), env, msg); err == nil {
		t.Fatal("the error is lost")
	}
	r := httptest.NewRecorder()
	metrics.Handler().ServeHTTP(r, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, want := range []string{
		"smimerelay_panics_total 1",
		`smimerelay_refusals_total{kind="internal",listener="in"} 1`,
		`smimerelay_messages_total{direction="inbound",listener="in",outcome="deferred"} 1`,
	} {
		if !strings.Contains(r.Body.String(), want) {
			t.Errorf("no %s", want)
		}
	}
}
