package edits

import (
	"context"
	"io"
	"log"
	"log/slog"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	library "github.com/emersion/go-milter"

	"github.com/smimerelay/smimerelay/internal/testing/loopback"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/answer"
	"github.com/smimerelay/smimerelay/relay/milter"
	"github.com/smimerelay/smimerelay/smime/message"
	"github.com/smimerelay/smimerelay/test/rig"
)

// BenchmarkPostfix measures a real Postfix that takes messages of 5 kB over ten
// sessions and throws them away: without a milter, with the library that does
// nothing, and with the adapter that hands on, or replaces, each message. The
// processor time is that of the milter.
func BenchmarkPostfix(b *testing.B) {
	log.SetOutput(io.Discard)
	replaced, err := message.Parse([]byte(head + "Subject: other\r\n\r\n" + strings.Repeat("0123456789abcdef\r\n", 280)))
	if err != nil {
		b.Fatal(err)
	}
	adapter := func(edit func(*relay.Envelope, *message.Message) (*answer.Outcome, error)) func() server {
		return func() server {
			return milter.NewServer(milter.Config{Handler: &stateless{edit: edit}, Queue: &filter{}, Log: slog.New(slog.DiscardHandler)})
		}
	}
	for _, variant := range []struct {
		name  string
		start func() server
	}{
		{"nothing", nil},
		{"library", func() server {
			return libraryServer{&library.Server{
				NewMilter: func() library.Milter { return library.NoOpMilter{} },
				Actions:   library.OptAddHeader | library.OptChangeHeader | library.OptChangeBody | library.OptRemoveRcpt,
			}}
		}},
		{"adapter", adapter(func(env *relay.Envelope, m *message.Message) (*answer.Outcome, error) { return pass(env, m), nil })},
		{"replaced", adapter(func(env *relay.Envelope, _ *message.Message) (*answer.Outcome, error) {
			return pass(env, replaced), nil
		})},
	} {
		b.Run(variant.name, func(b *testing.B) { deliverAll(b, variant.start) })
	}
}

type server interface {
	Serve(net.Listener) error
	Shutdown(context.Context) error
}

type libraryServer struct{ *library.Server }

func (s libraryServer) Shutdown(context.Context) error { return s.Close() }

// stateless is a filter that keeps nothing and locks nothing.
type stateless struct {
	filter
	edit func(*relay.Envelope, *message.Message) (*answer.Outcome, error)
}

func (f *stateless) Process(ctx context.Context, env *relay.Envelope, m *message.Message, can relay.Capabilities) (*relay.Answer, error) {
	o, err := f.edit(env, m)
	if err != nil {
		return nil, err
	}
	return answer.Of(ctx, o, env, m, can, f)
}

func deliverAll(b *testing.B, start func() server) {
	main := "milter_default_action = tempfail\ndefault_transport = discard:\nsmtpd_client_connection_rate_limit = 0\n"
	if start != nil {
		s := start()
		dir := b.TempDir()
		socket := filepath.Join(dir, "milter")
		ln, err := net.Listen("unix", socket)
		if err != nil {
			b.Fatal(err)
		}
		open(b, dir, socket)
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = s.Serve(ln) // ends with Shutdown
		}()
		defer func() {
			_ = s.Shutdown(context.Background())
			<-done
		}()
		main += "smtpd_milters = unix:" + socket + "\n"
	}
	port := loopback.FreePort(b)
	smtp := "127.0.0.1:" + strconv.Itoa(port)
	rig.StartPostfix(b, rig.PostfixConfig{
		Ports: []int{port}, Main: main, Master: smtp + " inet n - n - - smtpd\ndiscard unix - - n - - discard\n",
	})
	source := func(n int) {
		out, err := exec.Command(rig.Tool(b, "smtp-source", "postfix"), "-s", "10", "-l", "5000", "-m", strconv.Itoa(n),
			"-f", "a@sender.test", "-t", "b@rcpt.test", smtp).CombinedOutput()
		if err != nil {
			b.Fatalf("%v: %s", err, out)
		}
	}
	source(50)
	before := processorTime(b)
	b.ResetTimer()
	source(b.N)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
	b.ReportMetric(float64((processorTime(b)-before).Microseconds())/float64(b.N), "cpu-µs/op")
}

// open lets Postfix's own user through to the socket.
func open(b *testing.B, dir, socket string) {
	for path, mode := range map[string]uint32{filepath.Dir(dir): 0o711, dir: 0o711, socket: 0o666} {
		if err := syscall.Chmod(path, mode); err != nil {
			b.Fatal(err)
		}
	}
}

func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
