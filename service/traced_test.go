package service

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// otlp is a receiver of OTLP by HTTP that keeps what it gets.
type otlp struct {
	*httptest.Server
	mu    sync.Mutex
	raw   bytes.Buffer
	got   []*tracepb.ResourceSpans
	block chan struct{} // nil, or it answers when that is closed
}

func newOTLP(t *testing.T) *otlp {
	o := &otlp{}
	o.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.mu.Lock()
		block := o.block
		o.mu.Unlock()
		if block != nil {
			<-block
		}
		body, err := io.ReadAll(r.Body)
		var data tracepb.TracesData
		if err == nil {
			err = proto.Unmarshal(body, &data)
		}
		if err != nil || r.Method != http.MethodPost || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" {
			t.Errorf("%s %s: %v", r.Method, r.URL, err)
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		o.raw.Write(body)
		o.got = append(o.got, data.GetResourceSpans()...)
	}))
	t.Cleanup(o.Close)
	return o
}

// trace returns the spans of the message with an identifier.
func (o *otlp) trace(id string) []*tracepb.Span {
	o.mu.Lock()
	defer o.mu.Unlock()
	sum := sha256.Sum256([]byte(id))
	var spans []*tracepb.Span
	for _, r := range o.got {
		for _, scope := range r.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				if bytes.Equal(s.GetTraceId(), sum[:16]) {
					spans = append(spans, s)
				}
			}
		}
	}
	return spans
}

const tracedConfig = `
[tracing]
url = "%OTLP%/v1/traces"
[[listener]]
name = "filter"
protocol = "lmtp"
address = "127.0.0.1:0"
direction = "outbound"
[[listener]]
name = "mta"
protocol = "milter"
address = "127.0.0.1:0"
direction = "outbound"
[trust]`

// startTraced starts a world that signs for Alice and encrypts to Bob, and traces.
func startTraced(t *testing.T, o *otlp) *world {
	text := strings.Replace(storedConfig, "\n[trust]", strings.ReplaceAll(tracedConfig, "%OTLP%", o.URL), 1)
	w := startWorld(t, strings.Replace(text, `sign = "never"`, `sign = "require"`, 1))
	s := w.open(w.storeFile())
	for _, reader := range []string{"bob@enc.example", "carol@enc.example", "dave@enc.example"} {
		put(t, s, testpki.Must(w.ca.Issue(testpki.Leaf{Addresses: []string{reader}})))
	}
	if _, err := s.PutIdentity(t.Context(), store.Imported, w.issue("alice@example.org")); err != nil {
		t.Fatal(err)
	}
	w.settled(s)
	return w
}

// TestTraces: by each protocol one trace has the stages of a message, and in it are names and
// numbers alone.
func TestTraces(t *testing.T) {
	o := newOTLP(t)
	w := startTraced(t, o)
	doors := []struct {
		listener, to string
		send         func(to ...string) error
		own          []string // stages that others do not have
	}{
		{"out", "bob@enc.example", w.bySMTP, []string{"attempt", "store"}},
		{"filter", "carol@enc.example", w.byLMTP, []string{"hand over"}},
		{"mta", "dave@enc.example", w.byMilter, nil},
	}
	for _, d := range doors {
		if err := d.send(d.to); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.bySMTP("ghost@enc.example"); err == nil {
		t.Error("a message that cannot be encrypted was taken")
	}
	w.log.waitCount(t, "msg=attempt ", 1) // of the queue
	w.stop()
	lines := w.logged()
	common := []string{"decide", "encrypt", "facts", "lookup", "message", "process", "receive", "recipient", "sign"}
	for _, d := range doors {
		decision, _ := story(lines, d.listener, d.to)
		want := slices.Concat(common, d.own)
		slices.Sort(want)
		if got := stages(t, o.trace(decision["id"])); !slices.Equal(got, want) {
			t.Errorf("%s: stages %q, want %q", d.listener, got, want)
		}
	}
	o.checkHarmless(t)
	for _, r := range o.got {
		about := r.GetResource().String()
		for _, want := range []string{`"smimerelay"`, `"service.version"`, `"test"`, `"gw.example.org"`} {
			if !strings.Contains(about, want) {
				t.Errorf("the resource lacks %s: %s", want, about)
			}
		}
	}
}

// stages are the names of the spans of a trace, each once, in order. Each is below another
// one of the trace, but for the message.
func stages(t *testing.T, spans []*tracepb.Span) (names []string) {
	t.Helper()
	parents := map[string]bool{}
	for _, s := range spans {
		parents[hex.EncodeToString(s.GetSpanId())] = true
	}
	for _, s := range spans {
		names = append(names, s.GetName())
		if root := len(s.GetParentSpanId()) == 0; root != (s.GetName() == "message") || !root && !parents[hex.EncodeToString(s.GetParentSpanId())] {
			t.Errorf("%s is below %x", s.GetName(), s.GetParentSpanId())
		}
		if s.GetEndTimeUnixNano() < s.GetStartTimeUnixNano() {
			t.Errorf("%s ends before it begins", s.GetName())
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// checkHarmless wants no address, no subject and no content in the spans, and attributes of
// the log alone.
func (o *otlp) checkHarmless(t *testing.T) {
	t.Helper()
	for _, word := range []string{"alice", "bob", "carol", "dave", "ghost", "enc.example", "Hello", "Subject", "192.0.2.1"} {
		if bytes.Contains(o.raw.Bytes(), []byte(word)) {
			t.Errorf("the traces have %q", word)
		}
	}
	page, err := os.ReadFile("../docs/logs.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, r := range o.got {
		for _, scope := range r.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				for _, a := range s.GetAttributes() {
					seen++
					if !strings.Contains(string(page), "\n| `"+a.GetKey()+"` | ") {
						t.Errorf("%s: attribute %q is not in docs/logs.md", s.GetName(), a.GetKey())
					}
				}
			}
		}
	}
	if seen == 0 {
		t.Error("there are no attributes")
	}
}

// TestTracesCannotBeSent: a receiver that is silent, and one that is gone, cost traces and no
// mail, and each outage is one line of the log.
func TestTracesCannotBeSent(t *testing.T) {
	o := newOTLP(t)
	o.block = make(chan struct{})
	w := startTraced(t, o)
	for range 3 {
		for _, send := range []func(to ...string) error{w.bySMTP, w.byLMTP, w.byMilter} {
			if err := send("bob@enc.example"); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.log.waitCount(t, "msg=attempt ", 3)
	close(o.block)
	o.CloseClientConnections()
	o.Close()
	if err := w.byLMTP("bob@enc.example"); err != nil {
		t.Fatal(err)
	}
	w.stop()
	if n := w.log.count("traces cannot be sent"); n != 1 {
		t.Errorf("%d lines about the outage, want 1", n)
	}
}

// TestTracesFollowTheConfiguration: a reload switches them off.
func TestTracesFollowTheConfiguration(t *testing.T) {
	o := newOTLP(t)
	w := startTraced(t, o)
	if err := w.byLMTP("bob@enc.example"); err != nil {
		t.Fatal(err)
	}
	w.reload(storedConfig, "msg=reloaded")
	w.wantReply("without traces", "dave@plain.example", 0)
	w.stop()
	lines := w.logged()
	before, _ := story(lines, "filter", "bob@enc.example")
	after, _ := story(lines, "out", "dave@plain.example")
	if len(o.trace(before["id"])) == 0 || len(o.trace(after["id"])) > 0 {
		t.Errorf("%d spans before, %d after", len(o.trace(before["id"])), len(o.trace(after["id"])))
	}
}
