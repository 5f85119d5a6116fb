package gateway

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
)

func TestRecipientAtRCPT(t *testing.T) {
	w := newWorld(t)
	w.config.Contact = "https://help.example"
	w.start()
	env := w.envelope("out", "alice@own.example")
	for to, want := range map[string]string{
		dave: "550 5.7.1 no valid S/MIME certificate for dave@enc.example: expired 2026-03-01 (help: https://help.example)",
		bob:  "", erin: "", "none@strip.example": "", "none@all.example": "", "x@plain.example": "",
	} {
		err := w.gateway.Recipient(context.Background(), env, relay.Recipient{Address: w.addr(to)})
		got := ""
		if err != nil {
			got = w.gateway.replyText(err)
		}
		if got != want {
			t.Errorf("%s: %q, want %q", to, got, want)
		}
	}
	w.gateway.Close() // lookups that run ahead have ended
	if w.dir.asked["none@strip.example"] == 0 || w.dir.asked["x@plain.example"] != 0 {
		t.Errorf("looked up ahead: %v", w.dir.asked)
	}
}

// replyText is the reply for an error where no contact is configured.
func replyText(err error) string { return relay.ReplyFor(err).String() }

func TestDirections(t *testing.T) {
	w := newWorld(t)
	w.config.Listeners = append(w.config.Listeners, Listener{Name: "guarded", Direction: "outbound", Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
	w.start()
	stranger := relay.Client{Addr: netip.MustParseAddr("198.51.100.1")}
	tests := []struct {
		listener string
		client   relay.Client
		want     enforce.Direction
		refused  bool // at RCPT, for a recipient elsewhere
	}{
		{"out", stranger, enforce.Outbound, false},
		{"in", relay.Client{User: "alice"}, enforce.Inbound, false},
		{"in", stranger, enforce.Inbound, false},
		{"auto", relay.Client{Addr: netip.MustParseAddr("192.0.2.7")}, enforce.Outbound, false},
		{"auto", relay.Client{Addr: netip.MustParseAddr("::ffff:192.0.2.7")}, enforce.Outbound, false},
		{"auto", relay.Client{Addr: stranger.Addr, User: "alice"}, enforce.Outbound, false},
		{"auto", stranger, enforce.Inbound, true},
		{"auto", relay.Client{}, enforce.Inbound, true},
		{"guarded", stranger, enforce.Outbound, true},
		{"guarded", relay.Client{}, enforce.Outbound, true},
		{"unheard of", relay.Client{User: "alice"}, enforce.Inbound, true},
	}
	for _, tt := range tests {
		env := &relay.Envelope{ID: "x", Listener: tt.listener, Client: tt.client, Sender: w.addr("alice@own.example")}
		if got := w.gateway.Direction(env, w.addr("x@own.example")); got != tt.want {
			t.Errorf("%s, %+v: %s to a colleague, want %s", tt.listener, tt.client, got, tt.want)
		}
		if got := w.gateway.Direction(env, w.addr(bob)); got != enforce.Outbound {
			t.Errorf("%s, %+v: %s to a recipient elsewhere", tt.listener, tt.client, got)
		}
		err := w.gateway.Recipient(context.Background(), env, relay.Recipient{Address: w.addr("x@plain.example")})
		if (err != nil) != tt.refused {
			t.Errorf("%s, %+v: error %v, want refused %v", tt.listener, tt.client, err, tt.refused)
		}
	}
	env := w.envelope("guarded", "alice@own.example", "x@plain.example")
	env.Client = stranger
	if _, err := w.process(env, w.letter("x@plain.example")); fault.Of(err).Kind != fault.Policy {
		t.Errorf("a stranger sends by a guarded listener: %v", err)
	}
}

func TestPanicIsTemporary(t *testing.T) {
	w := newWorld(t)
	w.dir.panics = true
	_, err := w.gateway.Process(context.Background(), w.envelope("out", "alice@own.example", bob), w.letter(bob), relay.Capabilities{})
	if err == nil || relay.ReplyFor(err).Code != 451 || !strings.Contains(relay.ReplyFor(err).Text, "id1") {
		t.Errorf("error %v", err)
	}
	if strings.Contains(relay.ReplyFor(err).Text, "broken") || !strings.Contains(w.log.String(), "directory is broken") {
		t.Error("the cause belongs into the log, and not to the peer")
	}
}

func TestNewGatewayRefuses(t *testing.T) {
	if _, err := New(Config{}); err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("an empty configuration: %v", err)
	}
	w := newWorld(t)
	p, err := enforce.Compile([]enforce.Rule{{Name: "default", Sign: "never", Encrypt: "require", Profile: "strong"}})
	if err != nil {
		t.Fatal(err)
	}
	w.config.Policy = p
	if _, err := New(w.config); err == nil || !strings.Contains(err.Error(), `"strong"`) {
		t.Errorf("a profile that is not there: %v", err)
	}
}

func mustCompile(t testing.TB, rules ...enforce.Rule) *enforce.Policy {
	t.Helper()
	p, err := enforce.Compile(rules)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
