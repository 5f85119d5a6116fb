package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/smtp"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/config"
)

// inbound is a service with one SMTP listener for mail from outside.
const inbound = `
hostname = "gw.example.org"
domains = ["example.org"]
[admin]
address = "unix:%DIR%/admin"
[limits]
shutdown_timeout = "20s"
[queue]
path = "%DIR%/queue.db"
[store]
url = "%DIR%/store.db"
[next_hop]
address = "%HOP%"
tls = "off"
[[listener]]
name = "in"
protocol = "smtp"
address = "127.0.0.1:0"
direction = "inbound"
[trust]
anchors = ["ca.pem"]
revocation = "off"
fetch = false
`

func TestServesAndEnds(t *testing.T) {
	w := startWorld(t, inbound)
	if err := send(w.address("in"), "one"); err != nil {
		t.Fatal(err)
	}
	w.hop.wait(t, 1)
	w.stop()
	if err := send(w.address("in"), "two"); err == nil {
		t.Error("it still takes mail")
	}
}

func TestReload(t *testing.T) {
	w := startWorld(t, inbound)
	first := w.address("in")
	other := strings.Replace(inbound, `"in"`, `"new"`, 1)
	both := inbound + other[strings.Index(other, "[[listener]]"):strings.Index(other, "[trust]")]
	both = strings.Replace(both, "[trust]\n", "[trust]\nintermediates = [\"ca.pem\"]\n", 1)

	t.Run("a bad file keeps the old configuration", func(t *testing.T) {
		w.reload(inbound+"nonsense = true\n", "reload failed")
		if !strings.Contains(w.log.last("configuration problem"), "trust.nonsense: unknown key") {
			t.Errorf("the log does not say why:\n%s", w.log)
		}
		if err := send(first, "after a bad file"); err != nil {
			t.Error(err)
		}
	})
	t.Run("a file that is gone too", func(t *testing.T) {
		w.reload("domains = 1", "reload failed")
	})
	t.Run("an address that is taken changes nothing", func(t *testing.T) {
		taken := strings.Replace(both, `name = "new"
protocol = "smtp"
address = "127.0.0.1:0"`, `name = "new"
protocol = "smtp"
address = "`+w.hop.address+`"`, 1)
		w.reload(taken, "reload failed")
		if err := send(first, "after a taken address"); err != nil {
			t.Error(err)
		}
	})
	t.Run("another queue needs a restart", func(t *testing.T) {
		w.reload(strings.Replace(inbound, "queue.db", "other.db", 1), "reload failed")
		if !strings.Contains(w.log.last("configuration problem"), "queue: changed; restart") {
			t.Errorf("the log does not say so:\n%s", w.log)
		}
	})
	t.Run("a listener more", func(t *testing.T) {
		w.reload(both, "msg=reloaded")
		w.log.wait(t, "msg=listening listener=new")
		for _, address := range []string{first, w.address("new")} {
			if err := send(address, "to "+address); err != nil {
				t.Errorf("%s: %v", address, err)
			}
		}
	})
	t.Run("and one less", func(t *testing.T) {
		gone := w.address("new")
		w.reload(inbound, "msg=reloaded")
		if err := send(gone, "to a closed listener"); err == nil {
			t.Error("the listener that was removed still takes mail")
		}
		if err := send(first, "to the one that stayed"); err != nil {
			t.Error(err)
		}
	})
	t.Run("other limits on the same socket", func(t *testing.T) {
		w.reload(strings.Replace(inbound, "[limits]", "[limits]\nmessage_size = \"1KB\"", 1), "msg=reloaded")
		w.log.waitCount(t, "msg=listening listener=in ", 2)
		if err := sendAgain(first, strings.Repeat("too large ", 200)); replyCode(err) != 552 {
			t.Errorf("a message over the new limit: %v", err)
		}
		if err := sendAgain(first, "small"); err != nil {
			t.Error(err)
		}
	})
	w.stop()
}

// TestReloadUnderLoad changes the listener repeatedly while clients send:
// no client is refused a connection, everything accepted arrives, and once.
func TestReloadUnderLoad(t *testing.T) {
	const clients, reloads = 4, 12
	w := startWorld(t, inbound)
	address := w.address("in")
	stop := make(chan struct{})
	var sending sync.WaitGroup
	accepted := make([]int, clients)
	progress := make(chan struct{}, 1)
	for c := range clients {
		sending.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				err := send(address, fmt.Sprintf("client %d message %d", c, accepted[c]))
				switch {
				case err == nil:
					accepted[c]++
					select {
					case progress <- struct{}{}:
					default:
					}
				case goodbye(err): // a client tries again
				default:
					t.Errorf("client %d: %v", c, err)
					return
				}
			}
		})
	}
	for i := range reloads {
		<-progress
		w.reload(strings.Replace(inbound, "[limits]", fmt.Sprintf("[limits]\nrecipients = %d", 100+i), 1), "msg=reloaded")
	}
	close(stop)
	sending.Wait()
	total := 0
	for _, n := range accepted {
		total += n
	}
	for subject, n := range w.hop.wait(t, total) {
		if n != 1 {
			t.Errorf("%q arrived %d times", subject, n)
		}
	}
	t.Logf("%d messages, %d reloads", total, reloads)
	w.stop()
}

// TestDrain: a message that is being sent when the service is stopped is
// still taken, and delivered.
func TestDrain(t *testing.T) {
	w := startWorld(t, inbound)
	c, d := beginMessage(t, w.address("in"))
	defer c.Close()
	w.signals <- syscall.SIGTERM
	w.log.wait(t, "msg=ending")
	fmt.Fprint(d, "Subject: last\r\n\r\nHello.\r\n")
	if err := d.Close(); err != nil {
		t.Errorf("the message in work was not taken: %v", err)
	}
	w.wantEnd()
	// It is in the queue, and comes when the gateway serves again.
	w.run()
	w.hop.wait(t, 1)
	w.stop()
}

// TestSecondSignal: who does not want to wait tells it a second time.
func TestSecondSignal(t *testing.T) {
	w := startWorld(t, inbound)
	c, d := beginMessage(t, w.address("in"))
	defer c.Close()
	w.signals <- syscall.SIGTERM
	w.log.wait(t, "msg=ending")
	w.signals <- syscall.SIGTERM
	w.wantEnd()
	w.log.wait(t, "in-flight messages aborted: shutdown timeout reached")
	if err := d.Close(); err == nil {
		t.Error("a message that was cut off was accepted")
	}
}

// goodbye reports whether a server that is going said so, or hung up.
func goodbye(err error) bool {
	return replyCode(err) == 421 || errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// sendAgain sends until no server that is going is in the way.
func sendAgain(address, subject string) error {
	err := send(address, subject)
	for n := 0; goodbye(err) && n < 100; n++ {
		err = send(address, subject)
	}
	return err
}

func beginMessage(t *testing.T, address string) (*smtp.Client, io.WriteCloser) {
	t.Helper()
	c, err := smtp.Dial(address)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.Hello("client.example"), c.Mail("bob@example.net"), c.Rcpt("alice@example.org")); err != nil {
		t.Fatal(err)
	}
	d, err := c.Data()
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(d, "From: bob@example.net\r\nTo: alice@example.org\r\n")
	return c, d
}

func TestAdminDoor(t *testing.T) {
	w := startWorld(t, inbound)
	if err := send(w.address("in"), "counted"); err != nil {
		t.Fatal(err)
	}
	w.hop.wait(t, 1)
	w.log.wait(t, "msg=attempt")
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(w.dir, "admin"))
		},
	}}
	get := func(path string) string {
		r, err := client.Get("http://admin" + path)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		body, err := io.ReadAll(r.Body)
		if err != nil || r.StatusCode != 200 {
			t.Errorf("%s: %s %v", path, r.Status, err)
		}
		return string(body)
	}
	get("/readyz")
	body := get("/metrics")
	for _, want := range []string{
		`smimerelay_messages_total{direction="inbound",listener="in",outcome="accepted"} 1`,
		`smimerelay_recipients_total{direction="inbound",outcome="queued"} 1`,
		`smimerelay_inbound_total{encryption="none",result="none"} 1`,
		`smimerelay_deliveries_total{outcome="delivered"} 1`,
		`smimerelay_build_info{version="test"} 1`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s", want)
		}
	}
	w.stop()
}

// TestNotify follows what systemd is notified of.
func TestNotify(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "200000")
	next := func(want string) {
		t.Helper()
		b := make([]byte, 1024)
		for {
			if err := l.SetReadDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			n, err := l.Read(b)
			if err != nil {
				t.Fatalf("waiting for %s: %v", want, err)
			}
			if strings.Contains(string(b[:n]), want) {
				return
			}
		}
	}
	w := startWorld(t, inbound)
	next("READY=1")
	next("WATCHDOG=1")
	w.reload(inbound, "msg=reloaded")
	next("RELOADING=1")
	next("READY=1")
	w.stop()
	next("STOPPING=1")
}

func TestStartFailures(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for name, c := range map[string]struct {
		text, want string
		config     bool // status 78
	}{
		"bad file":      {"x = 1", "unknown key", true},
		"address taken": {strings.Replace(inbound, "127.0.0.1:0", taken.Addr().String(), 1), "address already in use; another listener", false},
		"no folder":     {strings.Replace(inbound, "127.0.0.1:0", "unix:%DIR%/no/in.sock", 1), `/no" does not exist; create it: install -d`, false},
		"no socket":     {strings.Replace(inbound, "127.0.0.1:0", "unix:%DIR%/config.toml", 1), "config.toml: exists and is not a socket; remove it", false},
		"no queue":      {strings.Replace(inbound, "%DIR%/queue.db", "%DIR%/no/queue.db", 1), "no such file or directory; create the folder for the user of the gateway: install", false},
		"no store":      {strings.Replace(inbound, "%DIR%/store.db", "%DIR%/no/store.db", 1), "no such file or directory; create the folder for the user of the gateway: install", true},
		"no database":   {strings.Replace(inbound, "%DIR%/store.db", "postgres://nobody@127.0.0.1:1/none", 1), "no server listens at 127.0.0.1:1; start PostgreSQL there", true},
		"bad key file":  {strings.Replace(inbound, "%DIR%/store.db\"", "%DIR%/store.db\"\nkey_file = \"%DIR%/config.toml\"", 1), "store.key_file", true},
		"no systemd":    {strings.Replace(inbound, "127.0.0.1:0", "systemd:milter", 1), `no socket named "milter"`, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := &world{t: t, dir: t.TempDir(), hop: newHop(t), log: newLogBuffer()}
			w.write(strings.Replace(c.text, `anchors = ["ca.pem"]`, "", 1))
			err := Run(t.Context(), Options{Path: w.config(), Stderr: w.log, Clock: time.Now})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if _, ok := errors.AsType[config.Problems](err); ok != c.config {
				t.Errorf("%T", err)
			}
		})
	}
}
