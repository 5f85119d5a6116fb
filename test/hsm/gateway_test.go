//go:build cgo

package hsm

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/testing/loopback"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/test/peer"
	"github.com/smimerelay/smimerelay/test/rig"
)

// program is the gateway, static; the helper is beside it.
var program string

func TestMain(m *testing.M) { os.Exit(rig.Main(m, &program, rig.BuildHelper)) }

// gateway is a relay with the keys of a token.
type gateway struct {
	*world
	*rig.Gateway
	sink                *rig.Sink
	addr, milter, admin string
	dir                 string
}

const settings = `hostname = "gw.test"
domains = ["example.org"]

[log]
level = "debug"

[limits]
errors_per_connection = 1000000

[[listener]]
name = "relay"
protocol = "smtp"
address = "ADDRESS"
direction = "auto"
networks = ["127.0.0.1/32"]

[[listener]]
name = "milter"
protocol = "milter"
address = "MILTER"
direction = "auto"
networks = ["127.0.0.1/32"]

[admin]
address = "ADMIN"

[next_hop]
address = "SINK"

[queue]
path = "DIR/queue.db"

[store]
url = "DIR/store.db"

[identities]
path = "DIR/identities"
tokens = ["TOKEN"]

[trust]
anchors = ["DIR/root.pem"]
revocation = "off"
fetch = false

[[rule]]
name = "default"
sign = "SIGN"
encrypt = "never"
`

func startGateway(t *testing.T) *gateway {
	t.Helper()
	ports := []int{loopback.FreePort(t), loopback.FreePort(t), loopback.FreePort(t)}
	at := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", ports[i]) }
	g := &gateway{world: newWorld(t), sink: rig.StartSink(t), addr: at(0), milter: at(1), admin: at(2), dir: t.TempDir()}
	must(t, os.Mkdir(filepath.Join(g.dir, "identities"), 0o700))
	must(t, os.WriteFile(filepath.Join(g.dir, "root.pem"), testpki.EncodeCertificates(g.ca.Root), 0o600))
	must(t, os.WriteFile(filepath.Join(g.dir, "identities", "bob.pem"), testpki.EncodeCertificates(g.certs[bob]), 0o600))
	g.Gateway = rig.StartGateway(t, program, g.settings("require"), ports...)
	return g
}

func (g *gateway) settings(sign string) string {
	return strings.NewReplacer("ADDRESS", g.addr, "MILTER", g.milter, "ADMIN", g.admin, "SINK", g.sink.Addr(), "DIR", g.dir, "TOKEN", g.token.URI(""), "SIGN", sign).Replace(settings)
}

// pass hands a message in and returns the reply to it, and what arrived.
func (g *gateway) pass(t *testing.T, client, from, to string, m []byte) (rig.Reply, []byte) {
	t.Helper()
	got := rig.Dial(t, g.addr, client).Send(from, []string{to}, m)
	if !got.Data.Positive() {
		return got.Data, nil
	}
	d := g.sink.Wait(t, "what "+from+" sent to "+to, func(d rig.Delivery) bool {
		// What came in encrypted leaves under a return path of the gateway's own.
		return (d.From == from || strings.HasPrefix(d.From, "smr0=")) && d.To[0] == to
	})
	return got.Data, d.Data
}

const partner = "you@example.net"

// One message is signed and one decrypted for each kind of key, by a gateway that
// never has the keys.
func TestGateway(t *testing.T) {
	g := startGateway(t)
	openssl := peer.NewOpenSSL(t, g.ca)
	for _, who := range []string{alice, bob} {
		_, out := g.pass(t, rig.Insider, who, partner, mail(t, who, content).Bytes())
		signed, err := openssl.Verify(out)
		must(t, err)
		if !strings.HasSuffix(string(signed), "what only the token opens\r\n") {
			t.Errorf("%s: OpenSSL reads %q", who, signed)
		}
		secret := mail(t, partner, g.openssl(t, g.certs[who], nil)).Bytes()
		if bytes.Contains(secret, []byte("only the token")) {
			t.Fatal("not encrypted")
		}
		_, in := g.pass(t, rig.Stranger, partner, who, secret)
		if !bytes.HasSuffix(in, []byte("\r\n\r\nwhat only the token opens\r\n")) || !bytes.Contains(in, []byte("X-SMIME-Status: none; signed=no; encrypted=yes\r\n")) {
			t.Errorf("%s: delivered\n%s", who, in)
		}
	}
	g.silent(t)
}

// With the token out everything that needs its keys waits, also what would only
// rather be signed; with the token in again it goes on.
func TestGatewayWithoutToken(t *testing.T) {
	g := startGateway(t)
	g.out(t)
	g.waits(t)
	g.in(t)
	g.signs(t, "first@example.net")
	g.out(t)
	g.Configure(t, g.settings("prefer"))
	g.Signal(t, syscall.SIGHUP)
	g.WaitLog(t, "msg=reloaded", 1)
	g.waits(t)
	g.in(t)
	g.signs(t, "second@example.net")
	if n := len(g.sink.All()); n != 2 {
		t.Errorf("%d messages arrived", n)
	}
	g.silent(t)
}

// out takes the token out, in puts it back.
func (g *gateway) out(t *testing.T) {
	t.Helper()
	must(t, os.Rename(g.token.Folder, g.token.Folder+".out"))
	must(t, os.Mkdir(g.token.Folder, 0o700))
}

func (g *gateway) in(t *testing.T) {
	t.Helper()
	must(t, os.Remove(g.token.Folder))
	must(t, os.Rename(g.token.Folder+".out", g.token.Folder))
}

// signs hands a message in, as often as a client would, until it arrives signed.
func (g *gateway) signs(t *testing.T, to string) {
	t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(rig.Patience); ; <-tick.C {
		reply, out := g.pass(t, rig.Insider, alice, to, mail(t, alice, content).Bytes())
		if reply.Positive() && bytes.Contains(out, []byte("multipart/signed")) {
			return
		}
		if reply.Positive() || time.Now().After(deadline) {
			t.Fatalf("with the token in again: %v\n%s", reply, out)
		}
	}
}

// waits checks that a message to be signed and one to be decrypted are deferred,
// in words that say nothing of tokens.
func (g *gateway) waits(t *testing.T) {
	t.Helper()
	signed, _ := g.pass(t, rig.Insider, alice, partner, mail(t, alice, content).Bytes())
	secret, _ := g.pass(t, rig.Stranger, partner, alice, mail(t, partner, g.openssl(t, g.certs[alice], nil)).Bytes())
	for _, reply := range []rig.Reply{signed, secret} {
		if !strings.HasPrefix(reply.String(), "451 4.7.0 ") || strings.Contains(reply.Text, "token") {
			t.Errorf("%v", reply)
		}
	}
}

// silent checks that the log, at its most talkative, says nothing of the PIN.
func (g *gateway) silent(t *testing.T) {
	t.Helper()
	if log := g.Log(); strings.Contains(log, g.token.PIN) || !strings.Contains(log, "DEBUG") && !strings.Contains(log, "INFO") {
		t.Errorf("the log has the PIN, or nothing:\n%s", log)
	}
}
