package service

import (
	"bytes"
	"errors"
	"fmt"
	"net/smtp"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/slapdtest"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// corporateConfig is that of a service with one SMTP listener for mail from inside, and two servers
// of one directory. Mail to enc.example must be encrypted.
const corporateConfig = `
hostname = "gw.example.org"
domains = ["example.org"]
[queue]
path = "%DIR%/queue.db"
[store]
url = "%DIR%/store.db"
[next_hop]
address = "%HOP%"
tls = "off"
[[listener]]
name = "out"
protocol = "smtp"
address = "127.0.0.1:0"
direction = "outbound"
networks = ["127.0.0.0/8"]
[trust]
anchors = ["%CA%"]
revocation = "off"
fetch = false
[lookup]
timeout = "4s"
[[directory]]
name = "corp"
type = "ldap"
urls = ["%FIRST%", "%SECOND%"]
base = "` + slapdtest.Suffix + `"
timeout = "500ms"
[[rule]]
name = "secret"
sign = "never"
recipient = ["enc.example"]
encrypt = "require"
no_certificate = "reject"
[[rule]]
name = "default"
sign = "never"
encrypt = "never"
`

// corporate is a service whose directory's servers stand behind proxies.
type corporate struct {
	*world
	ca      *testpki.CA
	servers []*slapdtest.Server
	proxies []*slapdtest.Proxy
	people  int
}

func startCorporate(t *testing.T) *corporate {
	t.Helper()
	c := &corporate{ca: testpki.Must(testpki.NewCA(testpki.Options{}))}
	for range 2 {
		s := slapdtest.Start(t, slapdtest.Config{})
		c.servers = append(c.servers, s)
		c.proxies = append(c.proxies, slapdtest.StartProxy(t, s.Addr()))
	}
	anchor := filepath.Join(t.TempDir(), "anchor.pem")
	if err := os.WriteFile(anchor, testpki.EncodeCertificates(c.ca.Certificate), 0o600); err != nil {
		t.Fatal(err)
	}
	c.world = startWorld(t, strings.NewReplacer("%CA%", anchor,
		"%FIRST%", c.proxies[0].URL(), "%SECOND%", c.proxies[1].URL()).Replace(corporateConfig))
	return c
}

// hire makes a recipient who has not been looked up yet, with a certificate.
func (c *corporate) hire() string {
	c.t.Helper()
	c.people++
	addr := fmt.Sprintf("p%d@enc.example", c.people)
	id := testpki.Must(c.ca.Issue(testpki.Leaf{Addresses: []string{addr}}))
	for _, s := range c.servers {
		s.AddPerson(c.t, addr, id.Certificate)
	}
	return addr
}

// send sends a message to a recipient and returns what the listener replied.
func (c *corporate) send(to string) error {
	c.t.Helper()
	client, err := smtp.Dial(c.address("out"))
	if err != nil {
		c.t.Fatal(err)
	}
	defer client.Close()
	err = errors.Join(client.Mail("alice@example.org"), client.Rcpt(to))
	if err != nil {
		return err
	}
	w, err := client.Data()
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "From: alice@example.org\r\nTo: %s\r\nSubject: to %s\r\n\r\nHello.\r\n", to, to)
	err = w.Close()
	return err
}

// accepted: the message is taken, and is encrypted (the renderer refuses to hand on
// what must be and is not).
func (c *corporate) accepted(when, to string) {
	c.t.Helper()
	if err := c.send(to); err != nil {
		c.t.Errorf("%s: %v", when, err)
	}
}

// deferred: the message is refused for now, and the text names the
// directory.
func (c *corporate) deferred(when, to string) {
	c.t.Helper()
	err := c.send(to)
	if replyCode(err) != 451 || !strings.Contains(err.Error(), "4.4.3") || !strings.Contains(err.Error(), "ldap:corp is unavailable") {
		c.t.Errorf("%s: %v", when, err)
	}
}

// rest lets a server's rest end (directory.restMost).
func (c *corporate) rest() { c.advance(time.Minute + time.Second) }

// TestAllDirectoryServersDown: what must be encrypted waits with its sender while
// no server of the directory answers, other mail passes, and when one is back the
// mail flows again by itself.
func TestAllDirectoryServersDown(t *testing.T) {
	c := startCorporate(t)
	known, second, waiting, first := c.hire(), c.hire(), c.hire(), c.hire()
	c.accepted("both are up", known)
	c.servers[0].Stop(t)
	c.accepted("one is down", second)
	c.servers[1].Stop(t)
	for range 4 { // longer than the breakers look on
		c.deferred("both are down", waiting)
	}
	c.accepted("a cached recipient", known)
	c.accepted("mail that may be plain", "other@rest.example")

	c.servers[1].Restart(t)
	c.rest()
	c.accepted("the second is back", waiting)
	c.servers[1].Stop(t)
	c.servers[0].Restart(t)
	c.rest()
	c.accepted("only the first is back", first)
	c.servers[1].Restart(t)
	c.rest()
	c.accepted("both are back", c.hire())
	c.stop()
}

// TestDirectoryFaults: whatever comes from the servers instead of an answer, the
// listener says 451 in time, and recovers.
func TestDirectoryFaults(t *testing.T) {
	c := startCorporate(t)
	for name, fault := range map[string]slapdtest.Fault{
		"silent":               slapdtest.Stall(0),
		"silent in mid-answer": slapdtest.Stall(200),
		"reset in mid-answer":  slapdtest.Cut(200),
		"too slow":             slapdtest.Slow(1, 50*time.Millisecond),
		"2 GiB":                slapdtest.Huge,
	} {
		// Connections that are open know nothing of the fault.
		for _, s := range c.servers {
			s.Stop(t)
			s.Restart(t)
		}
		to := c.hire()
		for _, p := range c.proxies {
			p.Set(fault)
		}
		c.deferred(name, to)
		c.deferred(name+" again", to)
		for _, p := range c.proxies {
			p.Set(slapdtest.Pass)
		}
		c.rest()
		c.accepted("after "+name, to)
	}
	c.stop()
}

// TestSignalForgetsLookups: who was found to have no certificate is asked for
// again after SIGHUP, also where the new file is refused.
func TestSignalForgetsLookups(t *testing.T) {
	c := startCorporate(t)
	text := testpki.Must(os.ReadFile(c.config()))
	for i, file := range [][]byte{text, append(bytes.Clone(text), "nonsense = true\n"...)} {
		to := fmt.Sprintf("late%d@enc.example", i)
		refused := func(when string) {
			t.Helper()
			if err := c.send(to); replyCode(err) != 550 {
				t.Errorf("%s: %v", when, err)
			}
		}
		refused("no certificate")
		id := testpki.Must(c.ca.Issue(testpki.Leaf{Addresses: []string{to}}))
		c.servers[0].AddPerson(t, to, id.Certificate)
		refused("it is remembered")
		if err := os.WriteFile(c.config(), file, 0o600); err != nil {
			t.Fatal(err)
		}
		c.signals <- syscall.SIGHUP
		c.log.wait(t, []string{"msg=reloaded", "reload failed"}[i])
		c.accepted("after the signal", to)
	}
	c.stop()
}
