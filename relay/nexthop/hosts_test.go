package nexthop

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/testing/wiretest"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/smtpclient"
)

// script is a host that fails at one stage: answer returns what it says to a command line,
// "" is the usual, "!" closes the connection.
type script struct {
	address string
	answer  func(line string) string

	mu    sync.Mutex
	lines []string
	bytes strings.Builder // all that came
	whole int             // messages to their end
}

func newScript(t *testing.T, answer func(line string) string) *script {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &script{address: ln.Addr().String(), answer: answer}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { defer nc.Close(); s.talk(nc) })
		}
	})
	t.Cleanup(func() { ln.Close(); wg.Wait() })
	return s
}

func (s *script) talk(nc net.Conn) {
	r := bufio.NewReader(nc)
	say := func(line, usual string) bool {
		text := usual
		if a := s.answer(line); a != "" {
			text = a
		}
		if text == "!" {
			return false
		}
		_, err := io.WriteString(nc, text+"\r\n")
		return err == nil
	}
	if !say("", "220 hop") {
		return
	}
	data := false
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		s.mu.Lock()
		s.bytes.WriteString(line + "\n")
		if !data {
			s.lines = append(s.lines, line)
		} else if line == "." {
			s.whole++
		}
		s.mu.Unlock()
		verb, _, _ := strings.Cut(line, " ")
		usual := map[string]string{"EHLO": "250-hop\r\n250-AUTH PLAIN LOGIN XOAUTH2\r\n250 8BITMIME", "DATA": "354 go", "QUIT": "221 bye"}[verb]
		switch {
		case data && line != ".":
			continue
		case data:
			data = false
			usual = "250 taken"
		case usual == "":
			usual = "250 ok"
		}
		if !say(line, usual) || verb == "QUIT" {
			return
		}
		data = verb == "DATA" && !strings.HasPrefix(s.answer(line), "4") && !strings.HasPrefix(s.answer(line), "5")
	}
}

func (s *script) taken() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.whole
}

// TestEachStage: a host that fails at a stage, and another behind it. Until the message was
// sent the other one gets it; from then on it stays, and is never with both.
func TestEachStage(t *testing.T) {
	fails := func(prefix, with string) func(string) string {
		return func(line string) string {
			if line == prefix || prefix != "" && prefix != "." && strings.HasPrefix(line, prefix) {
				return with
			}
			return ""
		}
	}
	for _, tt := range []struct {
		name          string
		answer        func(string) string
		want          string
		first, second int
	}{
		{"closed at once", fails("", "!"), "ok", 0, 1},
		{"greets with 554", fails("", "554 go away"), "ok", 0, 1},
		{"greets with 421", fails("", "421 busy"), "ok", 0, 1},
		{"greets with garbage", fails("", "HTTP/1.1 400 Bad Request"), "ok", 0, 1},
		{"refuses EHLO", fails("EHLO", "550 no"), "ok", 0, 1},
		{"closed after EHLO", fails("EHLO", "!"), "ok", 0, 1},
		{"451 to MAIL", fails("MAIL", "451 later"), "ok", 0, 1},
		{"421 to MAIL", fails("MAIL", "421 closing"), "ok", 0, 1},
		{"550 to MAIL", fails("MAIL", "550 5.7.1 not you"), "550 5.7.1", 0, 0},
		{"closed after MAIL", fails("MAIL", "!"), "ok", 0, 1},
		{"450 to RCPT", fails("RCPT", "450 4.2.0 later"), "450 4.2.0", 0, 0},
		{"550 to RCPT", fails("RCPT", "550 5.1.1 unknown"), "550 5.1.1", 0, 0},
		{"421 to RCPT", fails("RCPT", "421 closing"), "ok", 0, 1},
		{"closed after RCPT", fails("RCPT", "!"), "ok", 0, 1},
		{"451 to DATA", fails("DATA", "451 4.3.0 later"), "451 4.3.0", 0, 0},
		{"554 to DATA", fails("DATA", "554 5.5.1 no"), "554 5.5.1", 0, 0},
		{"closed after DATA", fails("DATA", "!"), "ok", 0, 1},
		{"closed after the dot", fails(".", "!"), "451 4.4.1", 1, 0},
		{"garbage after the dot", fails(".", "what"), "451 4.4.1", 1, 0},
		{"451 after the dot", fails(".", "451 4.3.2 later"), "451 4.3.2", 1, 0},
		{"550 after the dot", fails(".", "550 5.6.0 no"), "550 5.6.0", 1, 0},
		{"takes it", fails("x", ""), "ok", 1, 0},
	} {
		first, second := newScript(t, tt.answer), newScript(t, fails("x", ""))
		n := open(t, Config{Hosts: []string{first.address, second.address}, TLS: Off})
		if got := deliver(t, n, "example.net"); got != tt.want || first.taken() != tt.first || second.taken() != tt.second {
			t.Errorf("%s: %s, %d and %d messages; want %+v", tt.name, got, first.taken(), second.taken(), tt)
		}
	}
}

// TestSilence: a host that says nothing is left after a time, and one that says nothing
// after the dot keeps the message for this attempt.
func TestSilence(t *testing.T) {
	for stage, want := range map[string]string{"": "ok", "RCPT": "ok", ".": "451 4.4.1"} {
		release := make(chan struct{})
		first := newScript(t, func(line string) string {
			if line == stage || stage == "RCPT" && strings.HasPrefix(line, stage) {
				<-release
			}
			return ""
		})
		second := newScript(t, func(string) string { return "" })
		n := open(t, Config{Hosts: []string{first.address, second.address}, TLS: Off, Client: smtpclient.Config{Timeout: 100 * time.Millisecond}})
		if got := deliver(t, n, "example.net"); got != want || second.taken() != map[string]int{"ok": 1}[want] {
			t.Errorf("silent at %q: %s, %d messages to the other host", stage, got, second.taken())
		}
		close(release)
	}
}

// TestMixed: recipients have their own results, by whichever host.
func TestMixed(t *testing.T) {
	first := newScript(t, func(line string) string {
		switch {
		case strings.Contains(line, "<bad@"):
			return "550 5.1.1 unknown"
		case strings.Contains(line, "<later@"):
			return "450 4.2.1 full"
		}
		return ""
	})
	second := newScript(t, func(string) string { return "" })
	n := open(t, Config{Hosts: []string{first.address, second.address}, TLS: Off})
	results, _ := n.Deliver(t.Context(), "", letter(t, "good@example.net", "bad@example.net", "later@example.net"))
	if results[0] != nil || results[1] == nil || results[2] == nil || first.taken() != 1 || second.taken() != 0 {
		t.Errorf("%v; %d and %d", results, first.taken(), second.taken())
	}
}

// TestRequire: the certificate must be of the authority and for the name, and what it is
// not for gets nothing, by STARTTLS and from the start.
func TestRequire(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	valid := time.Now().Add(time.Hour)
	good, foreign, expired := ca.pair("127.0.0.1", valid), other.pair("127.0.0.1", valid), ca.pair("127.0.0.1", time.Now().Add(-time.Hour))
	named := ca.pair("relay.example.net", valid)
	file := ca.file()
	for _, tt := range []struct {
		name   string
		server *mailHost
		config Config
		want   string
	}{
		{"good", serve(t, "127.0.0.1:0", &good), Config{}, "ok"},
		{"other authority", serve(t, "127.0.0.1:0", &foreign), Config{}, "451 4.7.5"},
		{"expired", serve(t, "127.0.0.1:0", &expired), Config{}, "451 4.7.5"},
		{"other name", serve(t, "127.0.0.1:0", &named), Config{}, "451 4.7.5"},
		{"name given", serve(t, "127.0.0.1:0", &named), Config{VerifyName: "relay.example.net"}, "ok"},
		{"no TLS", serve(t, "127.0.0.1:0", nil), Config{}, "451 4.7.4"},
		{"opportunistic", serve(t, "127.0.0.1:0", &expired), Config{TLS: Opportunistic}, "ok"},
	} {
		c := tt.config
		c.Hosts = []string{tt.server.address}
		if c.TLS == "" {
			c.TLS, c.CA = Require, file
		}
		if got := deliver(t, open(t, c), "example.net"); got != tt.want {
			t.Errorf("%s: %s", tt.name, got)
		}
		if n, secured := tt.server.got(); n != map[string]int{"ok": 1}[tt.want] || n > 0 && !secured {
			t.Errorf("%s: %d messages, by TLS %v", tt.name, n, secured)
		}
	}
}

// TestLogin: each mechanism says what its definition has, a password is read again for
// each connection, and none is shown to a host that is not on this machine and not
// verified.
func TestLogin(t *testing.T) {
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	for mechanism, want := range map[smtpclient.Mechanism]string{
		smtpclient.Plain:   "AUTH PLAIN " + b64("\x00gw\x00pass word"),
		smtpclient.Login:   "AUTH LOGIN\n" + b64("gw") + "\n" + b64("pass word"),
		smtpclient.XOAuth2: "AUTH XOAUTH2 " + b64("user=gw\x01auth=Bearer pass word\x01\x01"),
	} {
		host := newScript(t, func(line string) string {
			switch {
			case line == "AUTH LOGIN":
				return "334 VXNlcm5hbWU6"
			case line == b64("gw"):
				return "334 UGFzc3dvcmQ6"
			case strings.HasPrefix(line, "AUTH "), line == b64("pass word"):
				return "235 welcome"
			}
			return ""
		})
		auth := &smtpclient.Auth{Mechanism: mechanism, User: "gw", Secret: func(context.Context) (string, error) { return "pass word", nil }}
		n := open(t, Config{Hosts: []string{host.address}, TLS: Off, Client: smtpclient.Config{Auth: auth}})
		if got := deliver(t, n, "example.net"); got != "ok" || !strings.Contains(strings.Join(host.lines, "\n"), want) {
			t.Errorf("%s: %s, %q", mechanism, got, host.lines)
		}
	}
	refusing := newScript(t, func(line string) string {
		if strings.HasPrefix(line, "AUTH XOAUTH2") {
			return "334 eyJzdGF0dXMiOiI0MDAifQ=="
		}
		if line == "" || strings.HasPrefix(line, "AUTH PLAIN") {
			return map[bool]string{true: "", false: "535 5.7.8 wrong"}[line == ""]
		}
		return ""
	})
	for _, auth := range []*smtpclient.Auth{
		{Mechanism: smtpclient.Plain, User: "gw", Secret: func(context.Context) (string, error) { return "x", nil }},
		{Mechanism: smtpclient.XOAuth2, User: "gw", Secret: func(context.Context) (string, error) { return "x", nil }},
		{Mechanism: smtpclient.Plain, User: "gw", Secret: func(context.Context) (string, error) { return "", errors.New("no file") }},
		{Mechanism: "CRAM-MD5", User: "gw", Secret: func(context.Context) (string, error) { return "x", nil }},
	} {
		n := open(t, Config{Hosts: []string{refusing.address}, TLS: Off, Client: smtpclient.Config{Auth: auth}})
		if got := deliver(t, n, "example.net"); got != "451 4.4.1" || refusing.taken() != 0 {
			t.Errorf("%s refused: %s, %d messages", auth.Mechanism, got, refusing.taken())
		}
	}
}

// TestFolder: a message is a file with its envelope.
func TestFolder(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "mail")
	n := open(t, Config{Folder: folder})
	if results, relayed := n.Deliver(t.Context(), "", letter(t, "b@example.net", "c@example.net")); results[0] != nil || results[1] != nil || len(relayed) != 2 {
		t.Fatalf("%v", results)
	}
	files, err := filepath.Glob(filepath.Join(folder, "new", "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	text, err := os.ReadFile(files[0])
	want := "Return-Path: <a@example.org>\r\nDelivered-To: b@example.net\r\nDelivered-To: c@example.net\r\nSubject: x\r\n\r\ny\r\n"
	if err != nil || string(text) != want {
		t.Errorf("%q, %v", text, err)
	}
	lost := relay.WithClaim(t.Context(), func(context.Context) error { return errors.New("lost") })
	if results, _ := n.Deliver(lost, "", letter(t, "b@example.net")); results[0] == nil {
		t.Error("stored though another node has the delivery")
	}
	if files, err := filepath.Glob(filepath.Join(folder, "*", "*")); err != nil || len(files) != 1 {
		t.Errorf("%v, %v", files, err)
	}
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(folder, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := deliver(t, n, "example.net"); got != "451 4.4.1" {
		t.Errorf("a folder that is a file: %s", got)
	}
}

// TestProblems: what a configuration cannot mean is an error, all of it at once.
func TestProblems(t *testing.T) {
	for want, c := range map[string]Config{
		"a unix socket has no name": {Hosts: []string{"unix:/x"}, TLS: Require},
		"missing port":              {Hosts: []string{"example.org"}},
		"ca: ":                      {Hosts: []string{"example.org:25"}, TLS: Require, CA: "/nonexistent"},
		"client certificate":        {Hosts: []string{"example.org:25"}, Certificate: "/nonexistent"},
		"1 weights for 2 hosts":     {Hosts: []string{"a:25", "b:25"}, Weights: []int{1}},
		`needs tls = "require"`:     {Hosts: []string{"a:25"}, Implicit: true},
		"about mail exchangers":     {Hosts: []string{"a:25"}, TLS: MTASTS},
	} {
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", c, err, want)
		}
	}
}

// TestNothingIsSmuggled: whatever is in a message, the host reads one message of it: no
// line of it is taken for the end, or for a command.
func TestNothingIsSmuggled(t *testing.T) {
	ends := []string{"\n.\n", "\r\n.\n", "\n.\r\n", "\r.\r", "\r\n.\r", "\r.\r\n", "\r\n.\r\n", ".\r\n", "\r\n..\r\n", "\x00.\r\n", "\r\r\n.\r\r\n"}
	for _, end := range ends {
		host := newScript(t, func(string) string { return "" })
		d := letter(t, "b@example.net")
		text := "Subject: x\r\n\r\na" + end + "MAIL FROM:<evil@example.net>\r\nRCPT TO:<victim@example.org>\r\nDATA\r\n"
		d.Message = wiretest.Message(t, text)
		n := open(t, Config{Hosts: []string{host.address}, TLS: Off})
		results, _ := n.Deliver(t.Context(), "", d)
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
		host.mu.Lock()
		commands := fmt.Sprint(host.lines)
		if strings.Contains(commands, "evil") || host.whole > 1 || results[0] == nil != (host.whole == 1) {
			t.Errorf("%q: %v, %d messages, commands %s", end, results[0], host.whole, commands)
		}
		if bare := strings.Contains(strings.ReplaceAll(end, "\r\n", ""), "\r") || strings.Contains(strings.ReplaceAll(end, "\r\n", ""), "\n"); bare == (results[0] == nil) {
			t.Errorf("%q: %v", end, results[0])
		}
		host.mu.Unlock()
	}
}
