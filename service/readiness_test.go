package service

import (
	"io"
	"net"
	"net/http"
	"net/textproto"
	"strconv"
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
	w.counts("queue_up 0", `messages_total{direction="inbound",listener="in",outcome="deferred"} 1`,
		`recipients_total{direction="inbound",outcome="deferred"} 1`, `refusals_total{kind="capacity",listener="in"} 1`)
}

// counts wants metrics, without their prefix.
func (w *world) counts(want ...string) {
	w.t.Helper()
	_, body := w.fetch("/metrics")
	for _, line := range want {
		if !strings.Contains(body, "\nsmimerelay_"+line+"\n") {
			w.t.Errorf("no %s", line)
		}
	}
	for line := range strings.Lines(body) {
		if w.t.Failed() && strings.HasPrefix(line, "smimerelay_") && !strings.Contains(line, "seconds") {
			w.t.Log(strings.TrimSpace(line))
		}
	}
}

// What is counted is what was answered and handed on: behind LMTP no message has a
// message that the next hop did not take.
func TestNextHopsAnswersAreCounted(t *testing.T) {
	w := startWorld(t, `
domains = ["example.org"]
next_hop.address = "%HOP%"
store.url = ""
admin.address = "127.0.0.1:0"
[inbound]
verify = false
[[listener]]
name = "in"
protocol = "lmtp"
address = "127.0.0.1:0"
direction = "inbound"
[[listener]]
name = "down"
protocol = "lmtp"
address = "127.0.0.1:0"
direction = "inbound"
next_hop = "unix:%DIR%/nobody-listens"
`)
	w.hop.refuses = "no@example.org"
	w.lmtp("in", "alice@example.org 250", "no@example.org 550")
	w.lmtp("down", "alice@example.org 451")
	w.counts(`messages_total{direction="inbound",listener="in",outcome="accepted"} 1`,
		`messages_total{direction="inbound",listener="down",outcome="deferred"} 1`,
		`recipients_total{direction="inbound",outcome="delivered"} 1`,
		`recipients_total{direction="inbound",outcome="refused"} 1`,
		`recipients_total{direction="inbound",outcome="deferred"} 1`,
		`inbound_total{encryption="none",result="none"} 1`,
		`deliveries_total{outcome="delivered"} 1`, `deliveries_total{outcome="refused"} 1`, `deliveries_total{outcome="deferred"} 1`)
}

// lmtp sends a message to recipients, each with the code that it is to get.
func (w *world) lmtp(listener string, wants ...string) {
	w.t.Helper()
	nc, err := net.Dial("tcp", w.address(listener))
	if err != nil {
		w.t.Fatal(err)
	}
	defer nc.Close()
	c := textproto.NewConn(nc)
	expect := func(code int) {
		w.t.Helper()
		if _, _, err := c.ReadResponse(code); err != nil {
			w.t.Error(err)
		}
	}
	command := func(code int, line string) {
		w.t.Helper()
		if err := c.PrintfLine("%s", line); err != nil {
			w.t.Fatal(err)
		}
		expect(code)
	}
	expect(220)
	command(250, "LHLO client.example")
	command(250, "MAIL FROM:<bob@example.net>")
	for _, want := range wants {
		command(250, "RCPT TO:<"+strings.Fields(want)[0]+">")
	}
	command(354, "DATA")
	if err := c.PrintfLine("From: bob@example.net\r\nSubject: x\r\n\r\nHello.\r\n."); err != nil {
		w.t.Fatal(err)
	}
	for _, want := range wants {
		code, err := strconv.Atoi(strings.Fields(want)[1])
		if err != nil {
			w.t.Fatal(err)
		}
		expect(code)
	}
	command(221, "QUIT")
}
