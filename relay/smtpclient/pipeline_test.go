package smtpclient

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// script answers command lines by their beginning, until the first that has none.
func script(pairs ...string) func(int, string) string {
	return func(_ int, line string) string {
		for i := 0; i < len(pairs); i += 2 {
			if strings.HasPrefix(line, pairs[i]) {
				return pairs[i+1]
			}
		}
		return ""
	}
}

// Whether the commands go out together or one by one, the recipients get the same
// results, and the hop the same messages.
func TestPipeliningChangesNoResult(t *testing.T) {
	for _, tc := range []struct {
		name    string
		answer  func(int, string) string
		want    string
		wantGot int // messages
	}{
		{"all accepted", nil, "ok, ok", 1},
		{"one refused", script("RCPT TO:<b@", "550 5.1.1 no"), "550 5.1.1, ok", 1},
		{"the last deferred", script("RCPT TO:<c@", "450 4.2.1 later"), "ok, 450 4.2.1", 1},
		{"none accepted", script("RCPT", "550 5.1.1 no", "DATA", "554 5.5.1 no valid recipients"), "550 5.1.1, 550 5.1.1", 0},
		{"none accepted, and data asked for", script("RCPT", "550 5.1.1 no", ".", "554 5.5.1 no valid recipients"), "550 5.1.1, 550 5.1.1", 0},
		{"sender refused", script("MAIL", "550 5.7.1 no", "RCPT", "503 5.5.1 MAIL first", "DATA", "503 5.5.1 MAIL first"), "550 5.7.1, 550 5.7.1", 0},
		{"sender refused, and data asked for", script("MAIL", "450 4.7.1 no", ".", "554 5.5.1 no valid recipients"), "450 4.7.1, 450 4.7.1", 0},
		{"data refused", script("DATA", "451 4.3.0 no"), "451 4.3.0, 451 4.3.0", 0},
		{"content refused", script(".", "554 5.6.0 no"), "554 5.6.0, 554 5.6.0", 1},
		{"closed at MAIL", script("MAIL", "421 4.3.2 closing"), "421 4.3.2, 421 4.3.2", 0},
		{"closed at RCPT", script("RCPT TO:<c@", "421 4.3.2 closing"), "451 4.4.1, 451 4.4.1", 0},
	} {
		for _, offers := range []string{"", "PIPELINING"} {
			t.Run(tc.name+" "+offers, func(t *testing.T) {
				s := &server{t: t, offers: offers, answer: tc.answer}
				c := s.start(setup{})
				if got := codes(c.Deliver(t.Context(), delivery(t, text, "a@example.org", "b@example.net", "c@example.net"))); got != tc.want {
					t.Errorf("results %s, want %s", got, tc.want)
				}
				s.mu.Lock()
				defer s.mu.Unlock()
				n := 0
				for _, data := range s.data {
					if data != ".\r\n" { // without a recipient
						n++
					}
				}
				if n != tc.wantGot {
					t.Errorf("%d messages, want %d: %q", n, tc.wantGot, s.data)
				}
			})
		}
	}
}

// Recipients that the hop wants in a transaction of their own get one.
func TestPipeliningInTwoTransactions(t *testing.T) {
	n := 0
	s := &server{t: t, offers: "PIPELINING", answer: func(_ int, line string) string {
		switch {
		case strings.HasPrefix(line, "MAIL"):
			n = 0
		case strings.HasPrefix(line, "RCPT"):
			if n++; n > 2 {
				return "452 4.5.3 too many recipients"
			}
		}
		return ""
	}}
	c := s.start(setup{})
	to := []string{"a@example.net", "b@example.net", "c@example.net", "d@example.net", "e@example.net"}
	if got := codes(c.Deliver(t.Context(), delivery(t, text, "a@example.org", to...))); got != "ok, ok, ok, ok, ok" {
		t.Errorf("results %s", got)
	}
	if len(s.data) != 3 || s.conns != 1 {
		t.Errorf("%d messages over %d connections, want 3 over 1", len(s.data), s.conns)
	}
}

// A hop that answers nothing before it has read DATA: all of it came at once. More
// recipients than fit a group are named in several.
func TestPipeliningSendsGroups(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	groups := make(chan int, 10)
	go func() {
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		r := bufio.NewReader(nc)
		say := func(text string, n int) { _, _ = io.WriteString(nc, strings.Repeat(text+"\r\n", n)) }
		say("220 hop", 1)
		for n := 0; ; {
			line, err := r.ReadString('\n')
			if err != nil {
				close(groups)
				return
			}
			switch n++; {
			case strings.HasPrefix(line, "EHLO"):
				say("250-hop\r\n250 PIPELINING", 1)
				n = 0
			case line == "DATA\r\n":
				say("250 ok", n-1)
				say("354 go", 1)
				groups <- n
				n = 0
			case line == ".\r\n":
				say("250 ok", 1)
				n = 0
			case n == maxGroup:
				say("250 ok", n)
				groups <- n
				n = 0
			}
		}
	}()
	c := connect(t, setup{Address: ln.Addr().String(), Hostname: "gw.example.com", TLS: "off", Timeout: 10 * time.Second})
	var to []string
	for i := range maxGroup + 20 {
		to = append(to, fmt.Sprintf("r%d@example.net", i))
	}
	if got := codes(c.Deliver(t.Context(), delivery(t, text, "a@example.org", to...))); strings.Trim(got, "ok, ") != "" {
		t.Errorf("results %s", got)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	var got []int
	for n := range groups {
		got = append(got, n)
	}
	if fmt.Sprint(got) != fmt.Sprint([]int{maxGroup, 22}) {
		t.Errorf("groups of %v commands", got)
	}
}

// A connection that dies, or on which the hop answers what is no reply, leaves no
// doubt before the content is sent: then nothing was taken, and over a new connection
// everything may be sent again. Once the content is sent it is not sent again.
func TestPipelineDies(t *testing.T) {
	for _, end := range []string{"!", "what?", "250-ok\r\n251 ok"} {
		for _, stage := range []string{"MAIL", "RCPT TO:<b@", "RCPT TO:<c@", "DATA", "."} {
			for _, kept := range []bool{false, true} {
				t.Run(fmt.Sprintf("%q at %s, kept %v", end, stage, kept), func(t *testing.T) {
					pipelineDies(t, end, stage, kept)
				})
			}
		}
	}
}

func pipelineDies(t *testing.T, end, stage string, kept bool) {
	var armed atomic.Bool
	s := &server{t: t, offers: "PIPELINING"}
	s.answer = func(_ int, line string) string {
		if strings.HasPrefix(line, stage) && armed.CompareAndSwap(true, false) {
			return end
		}
		return ""
	}
	c := s.start(setup{})
	messages := 0
	if kept {
		if got := codes(c.Deliver(t.Context(), delivery(t, text, "a@example.org", "x@example.net"))); got != "ok" {
			t.Fatal(got)
		}
		messages = 1
	}
	armed.Store(true)
	want := "451 4.4.1, 451 4.4.1"
	switch {
	case stage == ".":
		messages++ // the hop has it, and we do not know
	case kept:
		want = "ok, ok"
		messages++
	}
	if got := codes(c.Deliver(t.Context(), delivery(t, text, "a@example.org", "b@example.net", "c@example.net"))); got != want {
		t.Errorf("results %s, want %s", got, want)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.data) != messages {
		t.Errorf("the hop has %d messages, want %d", len(s.data), messages)
	}
	if len(c.idle) > 0 && want != "ok, ok" {
		t.Error("the connection is kept")
	}
}
