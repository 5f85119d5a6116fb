//go:build cgo

package hsm

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/emersion/go-milter"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/test/peer"
	"github.com/smimerelay/smimerelay/test/rig"
)

var started = regexp.MustCompile(`token helper started.* pid=([0-9]+)`)

// helper returns the process of the helper that was started last.
func (g *gateway) helper(t *testing.T) int {
	t.Helper()
	all := started.FindAllStringSubmatch(g.Log(), -1)
	if len(all) == 0 {
		t.Fatalf("no helper was started:\n%s", g.Log())
	}
	return testpki.Must(strconv.Atoi(all[len(all)-1][1]))
}

// counted returns the sum of the metric of the token's operations, by what its labels hold.
func (g *gateway) counted(t *testing.T, labels ...string) float64 {
	t.Helper()
	answer, err := http.Get("http://" + g.admin + "/metrics")
	must(t, err)
	defer answer.Body.Close()
	text := string(testpki.Must(io.ReadAll(answer.Body)))
	sum := 0.0
lines:
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "smimerelay_token_operations_total{") {
			continue
		}
		for _, l := range labels {
			if !strings.Contains(line, l) {
				continue lines
			}
		}
		sum += testpki.Must(strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndex(line, " "):]), 64))
	}
	return sum
}

// The helper has the PIN from its file: it is in no argument, environment or log, and
// not on the wire, where only the helper's answers could have it.
func TestPINStaysInTheHelper(t *testing.T) {
	g := startGateway(t)
	g.pass(t, rig.Insider, alice, partner, mail(t, alice, content).Bytes())
	for _, pid := range []int{g.helper(t), g.PID()} {
		for _, name := range []string{"cmdline", "environ"} {
			b := testpki.Must(os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name)))
			if bytes.Contains(b, []byte(g.token.PIN)) || bytes.Contains(b, []byte("pkcs11:")) {
				t.Errorf("%s of %d: %q", name, pid, b)
			}
		}
	}
	g.silent(t)
}

// Under load the helper is killed several times. What was accepted arrives signed, what
// was not is deferred, and in the end all is as before.
func TestHelperIsKilledUnderLoad(t *testing.T) {
	g := startGateway(t)
	load := &load{gateway: g, stop: make(chan struct{}), accepted: map[string]bool{}}
	var clients sync.WaitGroup
	for n := range 6 {
		clients.Go(func() { load.send(t, n) })
	}
	load.kill(t, 5)
	close(load.stop)
	clients.Wait()
	openssl := peer.NewOpenSSL(t, g.ca)
	for n, d := range g.sink.All() {
		delete(load.accepted, d.To[0])
		if n%10 != 0 && bytes.Contains(d.Data, []byte("multipart/signed")) {
			continue
		}
		if _, err := openssl.Verify(d.Data); err != nil {
			t.Errorf("%s: %v", d.To[0], err)
		}
	}
	for to := range load.accepted { // what is still in the queue
		d := g.sink.Wait(t, to, func(d rig.Delivery) bool { return d.To[0] == to })
		if _, err := openssl.Verify(d.Data); err != nil {
			t.Errorf("%s: %v", to, err)
		}
	}
	g.signs(t, "last@example.net")
	starts := g.counted(t, `operation="start"`)
	t.Logf("%d messages, %d deferred, %v starts of the helper", len(g.sink.All()), load.deferred, starts)
	if starts < 6 {
		t.Errorf("%v starts after 5 kills", starts)
	}
	g.silent(t)
}

// kill kills the helper n times, each time when it has been started again and has signed.
func (l *load) kill(t *testing.T, n int) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	deadline := time.Now().Add(rig.Patience)
	for before, last := 0, 0; n > 0; <-tick.C {
		l.mu.Lock()
		now := len(l.accepted)
		l.mu.Unlock()
		if now > before+20 {
			before = now
			// What is accepted after a kill may have been signed before it.
			if pid := l.helper(t); pid != last {
				last = pid
				n--
				must(t, syscall.Kill(pid, syscall.SIGKILL))
			}
		}
		if time.Now().After(deadline) {
			t.Error("the helper was not started again")
			return
		}
	}
}

// load is mail that is sent without pause.
type load struct {
	*gateway
	stop chan struct{}

	mu       sync.Mutex
	accepted map[string]bool
	deferred int
}

func (l *load) send(t *testing.T, client int) {
	c := rig.Dial(t, l.addr, rig.Insider)
	for n := 0; ; n++ {
		select {
		case <-l.stop:
			return
		default:
		}
		from, to := []string{alice, bob}[n%2], fmt.Sprintf("c%dn%d@example.net", client, n)
		got := c.Send(from, []string{to}, mail(t, from, content).Bytes())
		l.mu.Lock()
		switch {
		case got.Data.Positive():
			l.accepted[to] = true
		case strings.HasPrefix(got.Data.String(), "451 4.7.0 "):
			l.deferred++
		default:
			t.Errorf("%v", got.Data)
		}
		l.mu.Unlock()
	}
}

// A helper that is stopped, as by a device that hangs, is waited for ten seconds. The mail
// is deferred and counted, and the next helper signs.
func TestHelperThatHangs(t *testing.T) {
	g := startGateway(t)
	g.pass(t, rig.Insider, alice, partner, mail(t, alice, content).Bytes())
	pause(t, g.helper(t))
	if reply, _ := g.pass(t, rig.Insider, alice, partner, mail(t, alice, content).Bytes()); !strings.HasPrefix(reply.String(), "451 4.7.0 ") {
		t.Errorf("%v", reply)
	}
	if g.counted(t, `result="unavailable"`) == 0 {
		t.Error("not counted")
	}
	g.signs(t, "later@example.net")
}

// pause stops a process and returns when each of its threads has stopped: the signal is
// taken by one of them, and the others may go on for as long as that one waits for a
// processor.
func pause(t *testing.T, pid int) {
	t.Helper()
	must(t, syscall.Kill(pid, syscall.SIGSTOP))
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(rig.Patience); !stopped(t, pid); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("process %d does not stop", pid)
		}
	}
}

// stopped reports whether all threads of a process are in the state "stopped", by the
// field behind the name in /proc (proc_pid_stat(5)).
func stopped(t *testing.T, pid int) bool {
	t.Helper()
	threads := testpki.Must(filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid)))
	for _, path := range threads {
		stat := string(testpki.Must(os.ReadFile(path)))
		if !strings.HasPrefix(stat[strings.LastIndex(stat, ")"):], ") T") {
			return false
		}
	}
	return len(threads) > 0
}

// By the milter as by SMTP: the message is signed in place, and what comes in is decrypted.
func TestMilter(t *testing.T) {
	g := startGateway(t)
	headers, body := g.filter(t, rig.Insider, alice, partner, mail(t, alice, content).Bytes())
	if !strings.Contains(headers, "multipart/signed") || !bytes.Contains(body, []byte("what only the token opens")) {
		t.Errorf("%s\n%s", headers, body)
	}
	// This client cannot change the sender, so that what was decrypted leaves by the queue.
	g.filter(t, rig.Stranger, partner, bob, mail(t, partner, g.openssl(t, g.certs[bob], nil)).Bytes())
	d := g.sink.Wait(t, "what was decrypted", func(d rig.Delivery) bool { return d.To[0] == bob })
	if !bytes.HasSuffix(d.Data, []byte("\r\n\r\nwhat only the token opens\r\n")) {
		t.Errorf("decrypted: %q", d.Data)
	}
}

// filter hands a message to the milter and returns the changes of the header, and the body.
func (g *gateway) filter(t *testing.T, client, from, to string, m []byte) (headers string, body []byte) {
	t.Helper()
	c := milter.NewClientWithOptions("tcp", g.milter, milter.ClientOptions{
		ActionMask: milter.OptAddHeader | milter.OptChangeHeader | milter.OptChangeBody | milter.OptAddRcpt | milter.OptRemoveRcpt,
	})
	defer c.Close()
	s, err := c.Session()
	must(t, err)
	defer s.Close()
	head, text, _ := bytes.Cut(m, []byte("\r\n\r\n"))
	must(t, ok(s.Conn("client.test", milter.FamilyInet, 25, client)))
	must(t, ok(s.Helo("client.test")))
	must(t, ok(s.Mail(from, nil)))
	must(t, ok(s.Rcpt(to, nil)))
	for line := range strings.SplitSeq(string(head), "\r\n") {
		name, value, _ := strings.Cut(line, ": ")
		must(t, ok(s.HeaderField(name, value)))
	}
	must(t, ok(s.HeaderEnd()))
	edits, last, err := s.BodyReadFrom(bytes.NewReader(text))
	must(t, ok(last, err))
	for _, e := range edits {
		headers += fmt.Sprintf("%s: %s\n", e.HeaderName, e.HeaderValue)
		body = append(body, e.Body...)
	}
	return headers, body
}

// ok is an error unless the milter goes on.
func ok(a *milter.Action, err error) error {
	if err == nil && a.Code != milter.ActContinue && a.Code != milter.ActAccept && a.Code != milter.ActDiscard {
		err = fmt.Errorf("the milter answers %c %d %s", a.Code, a.SMTPCode, a.SMTPText)
	}
	return err
}

// A helper that listens on a socket, as another user would run it, does the same; it may go
// and come back.
func TestSocket(t *testing.T) {
	g := startGateway(t)
	socket := filepath.Join(t.TempDir(), "token")
	first := g.listen(t, socket)
	g.Configure(t, strings.Replace(g.settings("require"), `tokens = ["`+g.token.URI("")+`"]`, `tokens = ["unix:`+socket+`"]`, 1))
	g.Signal(t, syscall.SIGHUP)
	g.WaitLog(t, "msg=reloaded", 1)
	g.signs(t, "first@example.net")
	must(t, first.Process.Kill())
	first.Wait()
	g.waits(t)
	g.listen(t, socket)
	g.signs(t, "second@example.net")
}

// listen starts a helper with a socket, until the test ends.
func (g *gateway) listen(t *testing.T, socket string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(filepath.Join(filepath.Dir(program), "smimerelay-token"), "--listen", socket, g.token.URI(""))
	cmd.Stderr = os.Stderr
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
	})
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(rig.Patience); ; <-tick.C {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			conn.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	if info := testpki.Must(os.Stat(socket)); info.Mode().Perm() != 0o660 {
		t.Errorf("the socket has mode %v", info.Mode())
	}
	return cmd
}

// Without the helper a token is a problem of the configuration, which says what to install.
func TestNoHelper(t *testing.T) {
	g := startGateway(t)
	g.Configure(t, strings.Replace(g.settings("require"), "[identities]\n", "[identities]\ntoken_helper = \""+g.dir+"/none\"\n", 1))
	if out := g.RunFails(t, 78, "check"); !strings.Contains(out, "token_helper") {
		t.Errorf("%s", out)
	}
}
