package smtpclient

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/wiretest"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/smtpd"
	"github.com/smimerelay/smimerelay/smime/message"
)

// The next hop here is a listener of smtpd, which has TLS.
func TestTLS(t *testing.T) {
	server, _, ca := wiretest.Certificate(t)
	_, _, otherCA := wiretest.Certificate(t)
	good, bad := filepath.Join(t.TempDir(), "ca.pem"), filepath.Join(t.TempDir(), "other.pem")
	if err := errors.Join(os.WriteFile(good, ca, 0o600), os.WriteFile(bad, otherCA, 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name    string
		offered bool
		config  setup
		want    string
		secured bool
	}{
		{"off", true, setup{TLS: "off"}, "ok", false},
		{"opportunistic", true, setup{TLS: "opportunistic"}, "ok", true},
		{"opportunistic, not offered", false, setup{}, "ok", false},
		{"required", true, setup{TLS: "require", CA: good}, "ok", true},
		{"required, not offered", false, setup{TLS: "require", CA: good}, "451 4.7.4", false},
		{"required, untrusted", true, setup{TLS: "require", CA: bad}, "451 4.7.5", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h, sink := &wiretest.Handler{}, &wiretest.Sink{}
			c := smtpd.Config{Hostname: "gw.example.com", Handler: h, Queue: sink, Log: slog.New(slog.DiscardHandler)}
			if tc.offered {
				c.TLS = server
			}
			tc.config.Address = wiretest.Start(t, smtpd.NewServer(c))
			tc.config.Hostname = "client.example.com"
			cl := connect(t, tc.config)
			defer cl.Close()
			for range 2 {
				if got := codes(cl.Deliver(t.Context(), delivery(t, text, "a@example.org", "b@example.net"))); got != tc.want {
					t.Fatalf("results %s, want %s", got, tc.want)
				}
			}
			for _, s := range h.Seen() {
				if s.Envelope.Client.TLS != tc.secured {
					t.Errorf("secured is %v", s.Envelope.Client.TLS)
				}
			}
		})
	}
}

// A hop whose TLS is broken gets the message in the clear, but only where that
// is allowed.
func TestBrokenTLS(t *testing.T) {
	for _, answer := range []string{"220 go", "454 4.7.0 not now"} {
		for mode, want := range map[string]string{"opportunistic": "ok", "encrypted": "451 4.7.5", "require": "451 4.7.5"} {
			s := &server{t: t, offers: "STARTTLS", answer: func(_ int, line string) string {
				if line == "STARTTLS" {
					return answer
				}
				return ""
			}}
			c := s.start(setup{TLS: mode})
			if got := codes(c.Deliver(t.Context(), delivery(t, text, "a@example.org", "b@example.net"))); got != want {
				t.Errorf("%s after %q: %s", mode, answer, got)
			}
			if n := len(s.data); n != map[string]int{"ok": 1}[want] {
				t.Errorf("%s after %q: %d messages", mode, answer, n)
			}
		}
	}
}

// Everything that the client sends, a listener of smtpd takes unchanged.
func TestThroughSMTPD(t *testing.T) {
	h, sink := &wiretest.Handler{}, &wiretest.Sink{}
	addr := wiretest.Start(t, smtpd.NewServer(smtpd.Config{
		Hostname: "gw.example.com", Handler: h, Queue: sink, Log: slog.New(slog.DiscardHandler),
	}))
	cl := connect(t, setup{Address: addr, Hostname: "client.example.com", TLS: "off"})
	defer cl.Close()
	want := delivery(t, "Subject: x\r\n\r\n.\r\n..\r\nh\xc3\xa9\r\n\r\n", `"a >b"@example.org`, "ü@exämple.net", `"x\"y"@example.net`)
	want.Params = relay.MailParams{EnvID: "a+b=c d", Return: "FULL", SMTPUTF8: true}
	want.Recipients[0].Notify = []string{"SUCCESS", "FAILURE"}
	want.Recipients[0].OriginalType, want.Recipients[0].Original = "utf-8", "ö+=\\@example.net"
	want.Recipients[1].Notify = []string{"NEVER"}
	want.Recipients[1].OriginalType, want.Recipients[1].Original = "rfc822", "x+=y@example.net"
	if got := codes(cl.Deliver(context.Background(), want)); got != "ok, ok" {
		t.Fatalf("results %s", got)
	}
	got := sink.All()[0]
	if got.Params != want.Params || got.Sender.String() != want.Sender.String() {
		t.Errorf("sender %s, params %+v", got.Sender, got.Params)
	}
	for i, r := range got.Recipients {
		w := want.Recipients[i]
		if r.Address.String() != w.Address.String() || r.Original != w.Original || r.OriginalType != w.OriginalType || len(r.Notify) != len(w.Notify) {
			t.Errorf("recipient %+v, want %+v", r, w)
		}
	}
	if text := afterTrace(got.Message); text != string(want.Message.Bytes()) {
		t.Errorf("message %q", text)
	}
}

func afterTrace(m *message.Message) string {
	return string(m.Bytes()[len(m.Fields()[0].Raw):])
}
