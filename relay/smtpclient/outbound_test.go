package smtpclient

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/message"
)

func addr(t testing.TB, s string) address.Address {
	t.Helper()
	if s == "" {
		return address.Null
	}
	a, err := address.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func delivery(t testing.TB, text, from string, to ...string) relay.Delivery {
	t.Helper()
	m, err := message.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	d := relay.Delivery{Sender: addr(t, from), Message: m}
	for _, r := range to {
		d.Recipients = append(d.Recipients, relay.Recipient{Address: addr(t, r)})
	}
	return d
}

const text = "Subject: x\r\n\r\nhello\r\n"

// codes says how the results are to be answered.
func codes(errs []error, _ []bool) string {
	var all []string
	for _, err := range errs {
		if err == nil {
			all = append(all, "ok")
			continue
		}
		r := relay.ReplyFor(err)
		all = append(all, fmt.Sprintf("%d %d.%d.%d", r.Code, r.Enhanced[0], r.Enhanced[1], r.Enhanced[2]))
	}
	return strings.Join(all, ", ")
}

func TestDots(t *testing.T) {
	for in, want := range map[string]string{
		"":                    ".\r\n",
		"a\r\n":               "a\r\n.\r\n",
		"a":                   "a\r\n.\r\n",
		".\r\n":               "..\r\n.\r\n",
		"a\r\n.\r\n..\r\nb.c": "a\r\n..\r\n...\r\nb.c\r\n.\r\n",
		"\r\n.\r\n.":          "\r\n..\r\n..\r\n.\r\n",
	} {
		var b strings.Builder
		if err := dotted(&b, []byte(in)); err != nil || b.String() != want {
			t.Errorf("%q became %q, want %q (%v)", in, b.String(), want, err)
		}
		// In whatever pieces it comes.
		for i := range len(in) {
			for k := i; k < len(in); k++ {
				b.Reset()
				if err := dotted(&b, []byte(in[:i]), []byte(in[i:k]), []byte(in[k:])); err != nil || b.String() != want {
					t.Errorf("%q, %q and %q became %q, want %q (%v)", in[:i], in[i:k], in[k:], b.String(), want, err)
				}
			}
		}
	}
}

// dotted writes a message in pieces as SMTP has it.
func dotted(w io.Writer, pieces ...[]byte) error {
	d := dotWriter{w: w}
	for _, p := range pieces {
		if _, err := d.Write(p); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, d.end())
	return err
}

// TestScan: what a message has that not every server takes is found in whatever pieces it
// comes.
func TestScan(t *testing.T) {
	for in, want := range map[string]scan{
		"":              {},
		"a\r\nb":        {},
		"a\nb":          {bare: true},
		"a\rb":          {bare: true},
		"\r\n\r\n":      {},
		"\r\r\n":        {bare: true},
		"\r\n\n":        {bare: true},
		"\n\r":          {bare: true},
		"a\r":           {bare: true},
		"h\xc3\xa9\r\n": {eight: true},
		"a\x00\r\n":     {}, // not ASCII, and 7-bit
	} {
		for i := range len(in) + 1 {
			for k := i; k <= len(in); k++ {
				var got scan
				for _, p := range []string{in[:i], in[i:k], in[k:]} {
					got.add([]byte(p))
				}
				got.whole()
				if got.bare != want.bare || got.eight != want.eight || got.ended != strings.HasSuffix(in, "\r\n") {
					t.Errorf("%q, %q and %q: %+v, want %+v", in[:i], in[i:k], in[k:], got, want)
				}
			}
		}
	}
}

// TestStored: a message that is read in pieces goes out as it is; one that breaks off has
// no end, so that the server takes nothing; for a server without 8BITMIME it is read whole.
func TestStored(t *testing.T) {
	text := "Subject: x\r\n\r\n.\r\n..h\xc3\xa9\r\n"
	for _, x := range []struct {
		offers, want, got string
		cut               bool
	}{
		{"8BITMIME", "ok", text, false},
		{"8BITMIME, CHUNKING", "ok", text, false},
		{"8BITMIME, CHUNKING", "451 4.4.1", "", true},
		{"SIZE 5", "552 5.3.4", "", false},
		{"8BITMIME", "451 4.4.1", "", true},
		{"", "ok", strings.ReplaceAll(text, "\xc3\xa9", "?"), false},
	} {
		s := &server{t: t, offers: x.offers}
		c := s.start(setup{SevenBit: func(m *message.Message) (*message.Message, error) {
			return message.Parse([]byte(strings.ReplaceAll(string(m.Bytes()), "\xc3\xa9", "?")))
		}})
		d := delivery(t, text, "a@example.org", "b@example.net")
		whole, reads := d.Message, 0
		d.Message, d.Stored = nil, &relay.Stored{
			Header: whole.Header(), Size: len(text),
			Pieces: func(_ context.Context, each func([]byte) error) error {
				reads++
				for i := range len(text) {
					if x.cut && reads > 1 && i == 20 {
						return errors.New("gone")
					}
					if err := each([]byte(text[i : i+1])); err != nil {
						return err
					}
				}
				return nil
			},
			Load: func(context.Context) (*message.Message, error) { return whole, nil },
		}
		if got := codes(c.Deliver(t.Context(), d)); got != x.want {
			t.Errorf("offers %q, cut %v: %s, want %s", x.offers, x.cut, got, x.want)
		}
		var want []string
		switch {
		case x.got == "":
		case strings.Contains(x.offers, "CHUNKING"):
			want = []string{x.got}
		default:
			want = []string{strings.Replace(x.got, "\r\n.\r\n..", "\r\n..\r\n...", 1) + ".\r\n"}
		}
		s.mu.Lock()
		if !slices.Equal(s.data, want) {
			t.Errorf("offers %q, cut %v: data %q, want %q", x.offers, x.cut, s.data, want)
		}
		s.mu.Unlock()
	}
}

func TestDeliver(t *testing.T) {
	s := &server{t: t, offers: "8BITMIME, Size 1000, dsn, SMTPUTF8"}
	c := s.start(setup{})
	body := "Subject: x\r\n\r\n.\r\n..h\xc3\xa9\r\n"
	d := delivery(t, body, "a@example.org", "b@example.net", `"q r>"@example.net`, "ü@exämple.net")
	d.Params = relay.MailParams{EnvID: "e+1 x", Return: "HDRS"}
	d.Recipients[0].Notify = []string{"FAILURE", "DELAY"}
	d.Recipients[0].OriginalType, d.Recipients[0].Original = "rfc822", "o+1@example.net"
	d.Recipients[2].OriginalType, d.Recipients[2].Original = "utf-8", "ü=@example.net"
	if got := codes(c.Deliver(t.Context(), d)); got != "ok, ok, ok" {
		t.Fatalf("results %s", got)
	}
	want := []string{
		"EHLO gw.example.com",
		fmt.Sprintf("MAIL FROM:<a@example.org> SIZE=%d BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=e+2B1+20x", len(body)),
		"RCPT TO:<b@example.net> NOTIFY=FAILURE,DELAY ORCPT=rfc822;o+2B1@example.net",
		`RCPT TO:<"q r>"@example.net>`,
		`RCPT TO:<ü@exämple.net> ORCPT=utf-8;ü\x{3D}@example.net`,
		"DATA",
	}
	if got := s.commands(""); !slices.Equal(got, want) {
		t.Errorf("commands\n%s", strings.Join(got, "\n"))
	}
	if s.data[0] != "Subject: x\r\n\r\n..\r\n...h\xc3\xa9\r\n.\r\n" {
		t.Errorf("data %q", s.data[0])
	}
}

// TestOriginalRecipientInASCII: beyond ASCII only where MAIL says so (RFC 6533 section 3).
func TestOriginalRecipientInASCII(t *testing.T) {
	s := &server{t: t, offers: "DSN, SMTPUTF8"}
	d := delivery(t, text, "a@example.org", "b@example.net")
	d.Recipients[0].OriginalType, d.Recipients[0].Original = "utf-8", "ü@example.net"
	if got := codes(s.start(setup{}).Deliver(t.Context(), d)); got != "ok" {
		t.Fatalf("results %s", got)
	}
	if got := s.commands(""); !slices.Contains(got, `RCPT TO:<b@example.net> ORCPT=utf-8;\x{FC}@example.net`) {
		t.Errorf("commands\n%s", strings.Join(got, "\n"))
	}
}

func TestPlainHop(t *testing.T) {
	s := &server{t: t, answer: func(_ int, line string) string {
		if strings.HasPrefix(line, "EHLO") {
			return "502 5.5.1 what"
		}
		return ""
	}}
	c := s.start(setup{})
	d := delivery(t, text, "", "b@exämple.net")
	d.Params = relay.MailParams{EnvID: "e", Return: "FULL", SMTPUTF8: true}
	d.Recipients[0].Notify = []string{"NEVER"}
	if got := codes(c.Deliver(t.Context(), d)); got != "ok" {
		t.Fatalf("results %s", got)
	}
	want := []string{"EHLO gw.example.com", "HELO gw.example.com", "MAIL FROM:<>", "RCPT TO:<b@xn--exmple-cua.net>", "DATA"}
	if got := s.commands(""); !slices.Equal(got, want) {
		t.Errorf("commands\n%s", strings.Join(got, "\n"))
	}
}

// What the hop cannot take is refused for good, and not touched.
func TestUnsuited(t *testing.T) {
	s := &server{t: t, offers: "SIZE 100"}
	c := s.start(setup{})
	for _, tc := range []struct {
		d    relay.Delivery
		want string
	}{
		{delivery(t, "Subject: x\r\n\r\nh\xc3\xa9\r\n", "a@example.org", "b@example.net"), "554 5.6.3"},
		{delivery(t, text, "ä@example.org", "b@example.net"), "553 5.6.7"},
		{delivery(t, text, "a@example.org", "ä@example.net", "b@example.net"), "553 5.6.7, ok"},
		{delivery(t, text+strings.Repeat("x\r\n", 50), "a@example.org", "b@example.net"), "552 5.3.4"},
	} {
		if got := codes(c.Deliver(t.Context(), tc.d)); got != tc.want {
			t.Errorf("results %s, want %s", got, tc.want)
		}
	}
	if len(s.data) != 1 || s.data[0] != text+".\r\n" {
		t.Errorf("data %q", s.data)
	}
	bare := delivery(t, text, "a@example.org", "b@example.net")
	m, err := message.Parse([]byte("Subject: x\n\nhello\n"))
	if err != nil {
		t.Fatal(err)
	}
	bare.Message = m
	if got := codes(c.Deliver(t.Context(), bare)); got != "550 5.6.0" {
		t.Errorf("results %s", got)
	}
}

func TestResults(t *testing.T) {
	for _, tc := range []struct {
		name   string
		script map[string]string // by prefix of the command
		want   string
	}{
		{"all well", nil, "ok, ok, ok"},
		{"recipients", map[string]string{
			"RCPT TO:<b": "550-5.1.1 no such\r\n550 5.1.1 user", "RCPT TO:<c": "450 4.2.0 grey",
		}, "550 5.1.1, 450 4.2.0, ok"},
		{"all recipients", map[string]string{"RCPT": "551 5.1.6 gone"}, "551 5.1.6, 551 5.1.6, 551 5.1.6"},
		{"sender for good", map[string]string{"MAIL": "553 5.1.8 no"}, "553 5.1.8, 553 5.1.8, 553 5.1.8"},
		{"sender for now", map[string]string{"MAIL": "451 wait"}, "451 4.0.0, 451 4.0.0, 451 4.0.0"},
		{"data command", map[string]string{"DATA": "554 5.5.1 no"}, "554 5.5.1, 554 5.5.1, 554 5.5.1"},
		{"message for good", map[string]string{".": "554 5.7.1 spam", "RCPT TO:<c": "450 4.2.0 grey"}, "554 5.7.1, 450 4.2.0, 554 5.7.1"},
		{"message for now", map[string]string{".": "452 4.3.1 full"}, "452 4.3.1, 452 4.3.1, 452 4.3.1"},
		{"closing", map[string]string{"RCPT TO:<c": "421 4.3.2 bye", "RCPT TO:<b": "550 5.1.1 no"}, "550 5.1.1, 451 4.4.1, 451 4.4.1"},
		{"lost after the dot", map[string]string{".": "!"}, "451 4.4.1, 451 4.4.1, 451 4.4.1"},
		{"lost at data", map[string]string{"DATA": "!"}, "451 4.4.1, 451 4.4.1, 451 4.4.1"},
		{"lost at the greeting", map[string]string{"": "!"}, "451 4.4.1, 451 4.4.1, 451 4.4.1"},
		{"not served", map[string]string{"": "554 no service"}, "451 4.4.1, 451 4.4.1, 451 4.4.1"},
		{"EHLO refused", map[string]string{"EHLO": "550 no"}, "451 4.4.1, 451 4.4.1, 451 4.4.1"},
		{"nonsense", map[string]string{".": "hello"}, "451 4.4.1, 451 4.4.1, 451 4.4.1"},
		{"out of step", map[string]string{".": "354 go on"}, "451 4.4.1, 451 4.4.1, 451 4.4.1"},
		{"mailbox full", map[string]string{"RCPT TO:<b": "552 5.2.2 full", "RCPT TO:<c": "452 4.2.2 full"}, "552 5.2.2, 452 4.2.2, ok"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := &server{t: t, answer: func(_ int, line string) string {
				for prefix, a := range tc.script {
					if strings.HasPrefix(line, prefix) && (prefix != "" || line == "") {
						return a
					}
				}
				return ""
			}}
			c := s.start(setup{})
			errs, _ := c.Deliver(t.Context(), delivery(t, text, "a@example.org", "b@example.net", "c@example.net", "d@example.net"))
			if got := codes(errs, nil); got != tc.want {
				t.Errorf("results %s, want %s\n%v", got, tc.want, errs)
			}
		})
	}
}

// The hop's words reach the caller.
func TestOwnReply(t *testing.T) {
	s := &server{t: t, answer: func(_ int, line string) string {
		if strings.HasPrefix(line, "RCPT") {
			return "550-5.7.1 first line\r\n550 5.7.1 second line"
		}
		return ""
	}}
	c := s.start(setup{})
	errs, _ := c.Deliver(t.Context(), delivery(t, text, "a@example.org", "b@example.net"))
	err := errs[0]
	if fault.Of(err).Kind != fault.Refused || relay.ReplyFor(err).Text != "first line second line" {
		t.Errorf("error %v, reply %+v", err, relay.ReplyFor(err))
	}
}

// A hop that takes two recipients at a time gets all of them.
func TestTooManyRecipients(t *testing.T) {
	var mu sync.Mutex
	taken := 0
	s := &server{t: t, answer: func(_ int, line string) string {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case strings.HasPrefix(line, "MAIL"):
			taken = 0
		case strings.HasPrefix(line, "RCPT"):
			if taken++; taken > 2 {
				return "452 4.5.3 too many"
			}
		}
		return ""
	}}
	c := s.start(setup{})
	errs, _ := c.Deliver(t.Context(), delivery(t, text, "a@example.org", "b@e.net", "c@e.net", "d@e.net", "e@e.net", "f@e.net"))
	if got := codes(errs, nil); got != "ok, ok, ok, ok, ok" {
		t.Errorf("results %s", got)
	}
	if len(s.data) != 3 {
		t.Errorf("%d messages", len(s.data))
	}
}

func TestReuse(t *testing.T) {
	s := &server{t: t, answer: func(_ int, line string) string {
		if line == "MAIL FROM:<no@example.org>" {
			return "550 5.7.1 no"
		}
		return ""
	}}
	c := s.start(setup{})
	for _, from := range []string{"a@example.org", "no@example.org", "b@example.org", "c@example.org"} {
		c.Deliver(t.Context(), delivery(t, text, from, "b@example.net"))
	}
	if s.conns != 1 || len(s.data) != 3 {
		t.Errorf("%d connections, %d messages", s.conns, len(s.data))
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// A connection that the hop closed in the meantime is replaced.
func TestReuseOfClosed(t *testing.T) {
	s := &server{t: t, answer: func(conn int, line string) string {
		if conn == 1 && line == "MAIL FROM:<second@example.org>" {
			return "!"
		}
		return ""
	}}
	c := s.start(setup{})
	for _, from := range []string{"first@example.org", "second@example.org"} {
		if got := codes(c.Deliver(t.Context(), delivery(t, text, from, "b@example.net"))); got != "ok" {
			t.Errorf("%s: %s", from, got)
		}
	}
	if s.conns != 2 || len(s.data) != 2 {
		t.Errorf("%d connections, %d messages", s.conns, len(s.data))
	}
}

// A hop that has the whole message and then is gone may have taken it: on a
// connection that was kept, too, it is not sent a second time.
func TestSentOnce(t *testing.T) {
	s := &server{t: t}
	s.answer = func(conn int, line string) string {
		s.mu.Lock()
		defer s.mu.Unlock()
		if line == "." && len(s.data) == 2 {
			return "!"
		}
		return ""
	}
	c := s.start(setup{})
	for _, tc := range []struct{ from, want string }{{"first@example.org", "ok"}, {"second@example.org", "451 4.4.1"}} {
		if got := codes(c.Deliver(t.Context(), delivery(t, text, tc.from, "b@example.net"))); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.from, got, tc.want)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.data) != 2 || s.conns != 1 {
		t.Errorf("%d messages by %d connections", len(s.data), s.conns)
	}
}

func TestTimeoutAndContext(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	s := &server{t: t, answer: func(_ int, line string) string {
		if line == "." {
			<-release
		}
		return ""
	}}
	c := s.start(setup{Timeout: 50 * time.Millisecond})
	if got := codes(c.Deliver(t.Context(), delivery(t, text, "a@example.org", "b@example.net"))); got != "451 4.4.1" {
		t.Errorf("results %s", got)
	}
	slow := connect(t, setup{Address: c.host.Address, Hostname: "x", TLS: "off"})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if got := codes(slow.Deliver(ctx, delivery(t, text, "a@example.org", "b@example.net"))); got != "451 4.4.1" {
		t.Errorf("results %s", got)
	}
}

func TestUnixSocket(t *testing.T) {
	s := &server{t: t}
	c := s.start(setup{Address: "unix:" + filepath.Join(t.TempDir(), "hop")})
	if got := codes(c.Deliver(t.Context(), delivery(t, text, "a@example.org", "b@example.net"))); got != "ok" {
		t.Errorf("results %s", got)
	}
}

// TestConvert: 8-bit content is converted for a hop that cannot take it, and
// left alone for one that can.
func TestConvert(t *testing.T) {
	asked := 0
	ascii := func(m *message.Message) (*message.Message, error) {
		asked++
		return message.Parse(bytes.ReplaceAll(m.Bytes(), []byte("\xc3\xa9"), []byte("=C3=A9")))
	}
	d := delivery(t, "Subject: x\r\n\r\nh\xc3\xa9\r\n", "a@example.org", "b@example.net")
	for offers, want := range map[string]string{"": "h=C3=A9", "8BITMIME": "h\xc3\xa9"} {
		s := &server{t: t, offers: offers}
		if got := codes(s.start(setup{SevenBit: ascii}).Deliver(t.Context(), d)); got != "ok" {
			t.Fatalf("offers %q: results %s", offers, got)
		}
		if len(s.data) != 1 || !strings.Contains(s.data[0], want) {
			t.Errorf("offers %q: data %q", offers, s.data)
		}
	}
	if asked != 1 {
		t.Errorf("converted %d times", asked)
	}
}
