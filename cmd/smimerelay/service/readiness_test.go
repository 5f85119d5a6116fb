package service

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// fetch gets a page of the listener for metrics and health.
func (w *world) fetch(path string) (status int, body string) {
	w.t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := client.Get("http://" + w.address("admin") + path)
	if err != nil {
		w.t.Fatal(err)
	}
	defer r.Body.Close()
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return r.StatusCode, string(raw)
}

// While the disk has less left than queue.min_free, mail is deferred, and
// readiness and metrics say so.
func TestLowDiskIsNotReady(t *testing.T) {
	w := startWorld(t, `
domains = ["example.org"]
next_hop.address = "%HOP%"
store.url = ""
admin.address = "127.0.0.1:0"
[queue]
path = "%DIR%/queue.db"
min_free = "900000GB"
[[listener]]
name = "in"
protocol = "smtp"
address = "127.0.0.1:0"
direction = "inbound"
`)
	if code := replyCode(send(w.address("in"), "one")); code != 452 {
		t.Errorf("the reply is %d, want 452", code)
	}
	if status, body := w.fetch("/readyz"); status != 503 || !strings.Contains(body, "insufficient system storage") {
		t.Errorf("/readyz is %d: %s", status, body)
	}
	if _, body := w.fetch("/metrics"); !strings.Contains(body, "smimerelay_queue_up 0") {
		t.Error("the metrics say that the queue works")
	}
}
