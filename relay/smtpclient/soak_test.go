package smtpclient

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/testing/wiretest"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/queue"
	"github.com/smimerelay/smimerelay/relay/smtpd"
)

// Many sessions at once, with clients that reset, break off and say nonsense,
// through both listeners: every message that was answered with 250 arrives once and
// whole, and none that was not.
func TestSoak(t *testing.T) {
	for _, lmtp := range []bool{false, true} {
		t.Run(map[bool]string{false: "SMTP and queue", true: "LMTP"}[lmtp], func(t *testing.T) { soak(t, lmtp) })
	}
}

func soak(t *testing.T, lmtp bool) {
	log := slog.New(slog.DiscardHandler)
	sink := &wiretest.Sink{}
	hop := wiretest.Start(t, smtpd.NewServer(smtpd.Config{Hostname: "hop.example.com", Handler: &wiretest.Handler{}, Queue: sink, Log: log}))
	cl := connect(t, setup{Address: hop, Hostname: "gw.example.com", TLS: "off"})
	defer cl.Close()
	c := smtpd.Config{
		Hostname: "gw.example.com", LMTP: lmtp, Handler: &wiretest.Handler{}, Deliverer: cl, Log: log,
		Memory: relay.NewMemory(64 << 20), Limits: smtpd.Limits{Errors: 1000},
	}
	var q *queue.Queue
	if !lmtp {
		var err error
		q, err = queue.Open(t.Context(), queue.Config{Place: queue.Place{Path: filepath.Join(t.TempDir(), "queue.db")}, Deliverer: cl, MinFree: -1, Log: log})
		if err != nil {
			t.Fatal(err)
		}
		if err := q.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer func() {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			if err := q.Stop(ctx); err != nil {
				t.Error(err)
			}
		}()
		c.Queue = q
	}
	addr := wiretest.Start(t, smtpd.NewServer(c))

	var mu sync.Mutex
	accepted := map[string]string{} // body by recipient
	var wg sync.WaitGroup
	for session := range 24 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(session), 1))
			for round := range 3 {
				got, err := talk(addr, lmtp, fmt.Sprintf("s%d-%d", session, round), r)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				for to, body := range got {
					accepted[to] = body
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	// A busy machine takes its time; each wait is for one more message.
	for n := range len(accepted) {
		wiretest.Until(t, "the next message", func() bool { return len(sink.All()) > n })
	}
	seen := map[string]int{}
	for _, d := range sink.All() {
		to := d.Recipients[0].Address.String()
		seen[to]++
		if body := string(d.Message.Body()); accepted[to] != body {
			t.Errorf("%s got %.80q, want %.80q", to, body, accepted[to])
		}
	}
	for to := range accepted {
		if seen[to] != 1 {
			t.Errorf("%s got the message %d times", to, seen[to])
		}
	}
	t.Logf("%d messages", len(accepted))
}

// talk runs one connection and returns what was accepted.
func talk(addr string, lmtp bool, name string, r *rand.Rand) (map[string]string, error) {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	if err := nc.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return nil, err
	}
	in := bufio.NewReader(nc)
	do := func(text string) (string, error) {
		if _, err := io.WriteString(nc, text); err != nil {
			return "", err
		}
		for {
			line, err := in.ReadString('\n')
			if err != nil || len(line) > 3 && line[3] == ' ' {
				return line, err
			}
		}
	}
	accepted := map[string]string{}
	hello := map[bool]string{false: "EHLO x\r\n", true: "LHLO x\r\n"}[lmtp]
	for _, s := range []string{"", hello} {
		if _, err := do(s); err != nil {
			return nil, err
		}
	}
	for i := range 5 {
		to := fmt.Sprintf("%s-%d@example.net", name, i)
		body := strings.Repeat(fmt.Sprintf(".line %d\r\n", r.IntN(1000)), r.IntN(3000))
		text := "Subject: " + to + "\r\n\r\n" + body
		stuffed := strings.ReplaceAll(text, "\r\n.", "\r\n..")
		steps := []string{"MAIL FROM:<a@example.org>\r\n", "RCPT TO:<" + to + ">\r\n"}
		way := r.IntN(8)
		switch way {
		case 0:
			steps = append(steps, "RSET\r\n", "WHAT\r\n")
		case 1:
			steps = append(steps, fmt.Sprintf("BDAT %d LAST\r\n%s", len(text), text))
		default:
			steps = append(steps, "DATA\r\n", stuffed+".\r\n")
		}
		var last string
		for _, s := range steps {
			if way == 2 && s == stuffed+".\r\n" {
				_, _ = io.WriteString(nc, s[:len(s)/2]) // and off
				return accepted, nil
			}
			if last, err = do(s); err != nil {
				return nil, fmt.Errorf("%.60q: %w", s, err)
			}
		}
		if way != 0 && strings.HasPrefix(last, "250 ") {
			accepted[to] = body
		}
	}
	return accepted, nil
}
