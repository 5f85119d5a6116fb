package queue

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"testing"

	gosmtp "github.com/emersion/go-smtp"

	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/smtpclient"
	"github.com/smimerelay/smimerelay/smime/message"
)

// The variables that make a process of this test one whose memory is measured, which
// delivers what is in the queue of a folder to a next hop.
const memoryEnv = "QUEUE_MEMORY_DIR"

// toHop delivers by SMTP.
type toHop struct {
	client *smtpclient.Client
	hop    string
	done   chan error
}

func (d toHop) Deliver(ctx context.Context, m relay.Delivery) ([]error, []bool) {
	t := smtpclient.NewTransfer(m)
	d.client.Deliver(ctx, smtpclient.Host{Address: d.hop}, t)
	results, relayed := t.Results()
	d.done <- errors.Join(results...)
	return results, relayed
}

// memoryChild writes the message of the first delivery to nowhere, as queue show does, and
// delivers it. It ends with the most memory that it was resident with.
func memoryChild(dir, hop string) error {
	ctx := context.Background()
	d := toHop{smtpclient.New(smtpclient.Config{Hostname: "gw.example.org", Log: slog.New(slog.DiscardHandler)}), hop, make(chan error, 1)}
	q, err := Open(ctx, Config{Place: Place{Path: filepath.Join(dir, "queue.db")}, Deliverer: d, MinFree: -1})
	if err != nil {
		return err
	}
	list, err := q.List(ctx, Filter{})
	if err == nil {
		err = q.WriteMessage(ctx, list[0].ID, io.Discard)
	}
	if err == nil {
		err = q.Start(ctx)
	}
	if err == nil {
		err = <-d.done
	}
	if err = errors.Join(err, q.Stop(ctx), d.client.Close()); err != nil {
		return err
	}
	status, err := os.ReadFile("/proc/self/status")
	fmt.Print(string(status))
	return err
}

// hashing is a next hop that keeps the hash of what it gets.
type hashing struct{ sum chan [sha256.Size]byte }

func (h hashing) NewSession(*gosmtp.Conn) (gosmtp.Session, error) { return h, nil }
func (hashing) Reset()                                            {}
func (hashing) Logout() error                                     { return nil }
func (hashing) Mail(string, *gosmtp.MailOptions) error            { return nil }
func (hashing) Rcpt(string, *gosmtp.RcptOptions) error            { return nil }
func (h hashing) Data(r io.Reader) error {
	sum := sha256.New()
	if _, err := io.Copy(sum, r); err != nil {
		return err
	}
	h.sum <- [sha256.Size]byte(sum.Sum(nil))
	return nil
}

// raceDetector reports whether it is in this binary: it takes several times the memory.
func raceDetector() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

var peakLine = regexp.MustCompile(`(?m)^VmHWM:\s+(\d+) kB$`)

// A message of 100 MB is shown and delivered to the octet by a process that takes less
// memory than the message: in pieces.
func TestLargeMessageTakesLittleMemory(t *testing.T) {
	const size, most = 100_000_000, 72 << 20
	dir := t.TempDir()
	d := delivery(t, "a@example.org", "b@example.net")
	// Lines of 64 octets with dots in front, which no piece begins at.
	text := append([]byte("Subject: large\r\n\r\n"), bytes.Repeat([]byte("..456789012345678901234567890123456789012345678901234567890123\r\n"), size/64)...)
	var err error
	if d.Message, err = message.Parse(text); err != nil {
		t.Fatal(err)
	}
	want := sha256.Sum256(text)
	q := open(t, Config{Place: Place{Path: filepath.Join(dir, "queue.db")}, MinFree: -1, Deliverer: newHop(nil)})
	if err := q.Put(t.Context(), batch(d)); err != nil {
		t.Fatal(err)
	}
	stop(t, q)
	hop := hashing{make(chan [sha256.Size]byte, 10)}
	server := gosmtp.NewServer(hop)
	server.Domain, server.MaxMessageBytes = "hop.example.net", 2*size
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	defer func() { _ = server.Close(); <-served }()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
	child.Env = append(os.Environ(), memoryEnv+"="+dir, memoryEnv+"_HOP="+l.Addr().String())
	child.Stderr = os.Stderr
	out, err := child.Output()
	if err != nil {
		t.Fatal(err)
	}
	if got := <-hop.sum; got != want {
		t.Error("the message is not what it was")
	}
	found := peakLine.FindSubmatch(out)
	if found == nil {
		t.Fatalf("no VmHWM in %q", out)
	}
	kilobytes, err := strconv.Atoi(string(found[1]))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d kB for a message of %d kB", kilobytes, size/1000)
	if kilobytes<<10 > most && !raceDetector() {
		t.Errorf("the process took %d kB, at most %d are allowed", kilobytes, most>>10)
	}
}
