package smtpclient

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
)

// A refusal of the hop bears its name; what we find out ourselves does not.
func TestRefusalsNameTheHop(t *testing.T) {
	no := func(_ int, line string) string {
		if strings.HasPrefix(line, "RCPT") {
			return "550 5.1.1 no such user"
		}
		return ""
	}
	for _, tt := range []struct{ address, want string }{
		{"", "[127.0.0.1]"}, {"unix:" + filepath.Join(t.TempDir(), "s"), "hop"},
	} {
		c := (&server{t: t, answer: no}).start(setup{Address: tt.address})
		errs, _ := c.Deliver(t.Context(), delivery(t, text, "a@example.org", "b@example.net"))
		if e := fault.Of(errs[0]); e.Host != tt.want || e.Reply.Text != "no such user" {
			t.Errorf("%s: %+v", tt.address, e)
		}
	}
	for host, want := range map[string]string{"mx.example.net:25": "mx.example.net", "[2001:db8::1]:25": "[IPv6:2001:db8::1]"} {
		if got := (Host{Address: host}).label(""); got != want {
			t.Errorf("%s is called %s", host, got)
		}
	}
	c := (&server{t: t, offers: "SIZE 10"}).start(setup{})
	errs, _ := c.Deliver(t.Context(), delivery(t, text, "a@example.org", "b@example.net"))
	if e := fault.Of(errs[0]); e.Host != "" || relay.ReplyFor(e).Code != 552 {
		t.Errorf("%+v", e)
	}
}

// Of whom a hop without DSN took the message nothing more will be reported.
func TestHopsWithoutDSNRelay(t *testing.T) {
	for offers, want := range map[string]bool{"DSN": false, "SIZE": true} {
		c := (&server{t: t, offers: offers}).start(setup{})
		errs, relayed := c.Deliver(t.Context(), delivery(t, text, "a@example.org", "b@example.net"))
		if errs[0] != nil || relayed[0] != want {
			t.Errorf("%s: %v, relayed %v", offers, errs, relayed)
		}
	}
}

// What the hop said is given back as it was, with an enhanced code only where it had one.
func TestRepliesStayAsGiven(t *testing.T) {
	for said, want := range map[string]string{
		"550 no such user": "550 no such user", "550 5.1.1 no such user": "550 5.1.1 no such user", "550-no\r\n550 such user": "550 no such user",
		"550 4.1.1 odd": "550 4.1.1 odd", "550-5.1.1 no\r\n550-5.1.1 such\r\n550 5.1.1 user": "550 5.1.1 no such user",
	} {
		c := (&server{t: t, answer: script("RCPT", said)}).start(setup{})
		errs, _ := c.Deliver(t.Context(), delivery(t, text, "a@example.org", "b@example.net"))
		if got := relay.ReplyFor(errs[0]).String(); got != want {
			t.Errorf("%q became %q", said, got)
		}
	}
}
