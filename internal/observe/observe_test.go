package observe

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestLoggerWritesTheFormatAndTheLevelAsked(t *testing.T) {
	var b bytes.Buffer
	log, level, err := NewLogger(&b, "warn", "json")
	if err != nil {
		t.Fatal(err)
	}
	log.Info("quiet")
	log.Warn("loud", "recipient", "bob@example.net")
	var line map[string]any
	if err := json.Unmarshal(b.Bytes(), &line); err != nil {
		t.Fatalf("%q: %v", b.String(), err)
	}
	if line["msg"] != "loud" || line["recipient"] != "bob@example.net" {
		t.Errorf("line %v", line)
	}

	b.Reset()
	level.Set(slog.LevelDebug)
	log.Debug("now heard")
	if !strings.Contains(b.String(), "now heard") {
		t.Error("the level can not be changed")
	}

	b.Reset()
	if log, _, err = NewLogger(&b, "info", "text"); err != nil {
		t.Fatal(err)
	}
	log.Info("plain")
	if !strings.Contains(b.String(), "msg=plain") {
		t.Errorf("text line %q", b.String())
	}
}

func TestLoggerRefusesUnknownWords(t *testing.T) {
	for _, c := range [][2]string{{"verbose", "text"}, {"info", "xml"}, {"", ""}} {
		if _, _, err := NewLogger(&bytes.Buffer{}, c[0], c[1]); err == nil {
			t.Errorf("level %q, format %q: no error", c[0], c[1])
		}
	}
}

func TestAdmin(t *testing.T) {
	m := NewMetrics(Depth{Queued: func() float64 { return 17 }, Held: func() float64 { return 4 }, HeldAge: func() float64 { return 60 }})
	m.Messages.WithLabelValues("outbound", "outbound", "accepted").Inc()
	notReady := errors.New("starting")
	h := Admin(m, func() error { return notReady })
	get := func(path string) (int, string) {
		r := httptest.NewRecorder()
		h.ServeHTTP(r, httptest.NewRequest(http.MethodGet, path, nil))
		return r.Code, r.Body.String()
	}
	if code, _ := get("/healthz"); code != 200 {
		t.Errorf("/healthz: %d", code)
	}
	if code, body := get("/readyz"); code != 503 || !strings.Contains(body, "starting") {
		t.Errorf("/readyz before: %d %q", code, body)
	}
	notReady = nil
	if code, _ := get("/readyz"); code != 200 {
		t.Errorf("/readyz after: %d", code)
	}
	code, body := get("/metrics")
	for _, want := range []string{
		"smimerelay_queue_messages 17\n",
		`smimerelay_messages_total{direction="outbound",listener="outbound",outcome="accepted"} 1`,
		"go_goroutines", "process_open_fds",
	} {
		if code != 200 || !strings.Contains(body, want) {
			t.Errorf("/metrics: %d, without %q", code, want)
		}
	}
	if code, _ := get("/debug/pprof/"); code != 404 {
		t.Errorf("/debug/pprof/: %d", code)
	}
}
