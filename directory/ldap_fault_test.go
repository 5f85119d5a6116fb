package directory

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/slapdtest"
)

func TestHostileServersAreUnknownWithinTheLimit(t *testing.T) {
	t.Parallel()
	const limit = 100 * time.Millisecond
	say := func(s string) func(net.Conn) {
		return func(c net.Conn) {
			buf := make([]byte, 1024)
			if _, err := c.Read(buf); err != nil {
				return
			}
			_, _ = io.WriteString(c, s)
		}
	}
	for name, treat := range map[string]func(net.Conn){
		"silent":        slapdtest.Hold,
		"closes":        func(c net.Conn) { c.Close() },
		"2 GiB":         say("\x30\x84\x7f\xff\xff\xff\x02\x01\x01"),
		"2 GiB inside":  say(tlv(0x30, "\x02\x01\x01\x64\x84\x7f\xff\xff\xff")),
		"garbage":       say("HTTP/1.1 400 Bad Request\r\n\r\n"),
		"other message": say(tlv(0x30, "\x02\x01\x7f"+tlv(0x65, "\x0a\x01\x00\x04\x00\x04\x00"))),
		"no entry":      say(tlv(0x30, "\x02\x01\x01"+tlv(0x64, ""))),
		"trickles": func(c net.Conn) {
			for range 1000 {
				if _, err := io.WriteString(c, "\x30"); err != nil {
					return
				}
				if _, err := c.Read(make([]byte, 1)); err != nil {
					return
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, startTLS := range []bool{false, true} {
				h := slapdtest.StartHostile(t, treat)
				l := openLDAP(t, LDAPConfig{URLs: []string{h.URL()}, Timeout: limit, StartTLS: startTLS})
				if f, err := l.Find(t.Context(), addr(t, bob)); err == nil {
					t.Errorf("StartTLS %v: found %v", startTLS, f)
				}
			}
		})
	}
}

func TestServerDoesNotRestForAnAnswerThatIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer string
		want   int
	}{
		"too large": {tlv(0x30, strings.Repeat("\x05\x00", maxElements+1)), 10},
		"no LDAP":   {"HTTP/1.1 400 Bad Request\r\n", 10},
		"cut short": {"\x30\x50\x02\x01\x01", breakAfter},
	} {
		h := slapdtest.StartHostile(t, func(conn net.Conn) {
			if _, err := conn.Read(make([]byte, 1024)); err == nil {
				_, _ = io.WriteString(conn, c.answer)
			}
			conn.Close()
		})
		l := openLDAP(t, LDAPConfig{URLs: []string{h.URL()}, Clock: newFakeClock().Now})
		for range 10 {
			if f, err := l.Find(t.Context(), addr(t, bob)); err == nil {
				t.Errorf("%s: found %v", name, f)
			}
		}
		if n := h.Connections(); n != c.want {
			t.Errorf("%s: %d connections, want %d", name, n, c.want)
		}
	}
}

func TestServerThatFailsRests(t *testing.T) {
	t.Parallel()
	h := slapdtest.StartHostile(t, func(c net.Conn) { c.Close() })
	clock := newFakeClock()
	l := openLDAP(t, LDAPConfig{URLs: []string{h.URL()}, Clock: clock.Now})
	ask := func(times int) {
		for range times {
			if _, err := l.Find(t.Context(), addr(t, bob)); err == nil {
				t.Error("no error")
			}
		}
	}
	ask(10)
	if n := h.Connections(); n != breakAfter {
		t.Errorf("%d connections, want %d and then rest", n, breakAfter)
	}
	clock.advance(restFirst)
	ask(10)
	if n := h.Connections(); n != breakAfter+1 {
		t.Errorf("%d connections, want one try after the rest", n)
	}
	clock.advance(restFirst)
	ask(1)
	if n := h.Connections(); n != breakAfter+1 {
		t.Errorf("%d connections: the rest was not doubled", n)
	}
}

func TestNothingMayFollowTheAnswerToStartTLS(t *testing.T) {
	t.Parallel()
	h := slapdtest.StartHostile(t, func(c net.Conn) {
		if _, err := c.Read(make([]byte, 1024)); err == nil {
			_, _ = io.WriteString(c, tlv(0x30, "\x02\x01\x01"+tlv(0x78, "\x0a\x01\x00\x04\x00\x04\x00"))+"\x30")
		}
	})
	l := openLDAP(t, LDAPConfig{URLs: []string{h.URL()}, StartTLS: true})
	if _, err := l.Find(t.Context(), addr(t, bob)); err == nil || !strings.Contains(err.Error(), "after the answer") {
		t.Errorf("got %v", err)
	}
}
