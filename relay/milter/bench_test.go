package milter

import (
	"context"
	"io"
	"log"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/emersion/go-milter"

	"github.com/smimerelay/smimerelay/internal/testing/wiretest"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/answer"
	"github.com/smimerelay/smimerelay/smime/message"
)

// BenchmarkMessage measures what a message of 5 kB costs, in one run, on unix
// sockets: the library doing nothing, and the adapter that hands a message on,
// edits its header, or replaces it. The MTA's side is part of all of them.
func BenchmarkMessage(b *testing.B) {
	text := "From: a@example.org\r\n" + strings.Repeat("X-Field: some value of usual length\r\n", 20) +
		"\r\n" + strings.Repeat("0123456789012345678901234567890123456789012345678901234567890123456789\r\n", 60)
	body := text[strings.Index(text, "\r\n\r\n"):]
	b.Run("library", func(b *testing.B) {
		log.SetOutput(io.Discard)
		s := &milter.Server{NewMilter: func() milter.Milter { return milter.NoOpMilter{} }, Actions: needed}
		run(b, libraryServer{s}, text)
	})
	for name, now := range map[string]string{
		"adapter":         text,
		"adapter, header": "New: x\r\n" + text,
		"adapter, body":   "New: x" + strings.ReplaceAll(body, "0", "1"),
	} {
		m, err := message.Parse([]byte(now))
		if err != nil {
			b.Fatal(err)
		}
		h := &quietHandler{process: func(_ context.Context, env *relay.Envelope, _ *message.Message) (*answer.Outcome, error) {
			return wiretest.Pass(env, m), nil
		}}
		b.Run(name, func(b *testing.B) {
			run(b, NewServer(Config{Handler: h, Queue: &wiretest.Sink{}, Log: slog.New(slog.DiscardHandler)}), text)
		})
	}
}

// quietHandler keeps nothing.
type quietHandler struct {
	wiretest.Handler
	process process
}

func (h *quietHandler) Process(ctx context.Context, env *relay.Envelope, m *message.Message, can relay.Capabilities) (*relay.Answer, error) {
	o, err := h.process(ctx, env, m)
	if err != nil {
		return nil, err
	}
	return answer.Of(ctx, o, env, m, can, h)
}

type libraryServer struct{ *milter.Server }

func (s libraryServer) Shutdown(context.Context) error { return s.Close() }

func run(b *testing.B, s wiretest.Server, text string) {
	ln, err := net.Listen("unix", filepath.Join(b.TempDir(), "milter"))
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(ln) // ends with Shutdown
	}()
	defer func() {
		_ = s.Shutdown(context.Background())
		<-done
	}()
	b.SetParallelism(5) // ten sessions on two processors
	before := processorTime(b)
	b.RunParallel(func(pb *testing.PB) {
		c, err := net.Dial("unix", ln.Addr().String())
		if err != nil {
			b.Error(err)
			return
		}
		defer c.Close()
		m := newMTA(b, c)
		m.negotiate(0x1ff, allSteps)
		m.macros('C', "j", "mail.example.com")
		m.send('C', "client.example.org\x004\x00\x19192.0.2.1\x00")
		m.quiet(milter.OptNoConnReply)
		m.send('H', "helo.example.org\x00")
		m.quiet(milter.OptNoHeloReply)
		for pb.Next() {
			m.mail("a@example.org")
			m.rcpt("b@example.net")
			if got := m.message(text); got != "a" {
				b.Errorf("answer %q", got)
				return
			}
		}
		m.send('Q', "")
	})
	b.ReportMetric(float64((processorTime(b)-before).Microseconds())/float64(b.N), "cpu-µs/op")
}

func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
