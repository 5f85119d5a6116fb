package service

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/message"
)

// TestMailOutsideLeavesByTheNextHop: with [next_hop] local, what leaves the house
// never stays with the MTA that asks by milter; without it, it does.
func TestMailOutsideLeavesByTheNextHop(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "config.toml")
	for local, want := range map[string]bool{"": false, `local = "127.0.0.1:10027"`: true} {
		text := fmt.Sprintf("hostname = \"gw.example.org\"\ndomains = [\"example.org\"]\n[store]\nurl = \"\"\n[queue]\npath = %q\n"+
			"[trust]\nrevocation = \"off\"\n[next_hop]\naddress = \"127.0.0.1:10028\"\n%s\n"+
			"[[listener]]\nname = \"in\"\nprotocol = \"milter\"\naddress = \"127.0.0.1:0\"\ndirection = \"inbound\"\n"+
			"[[rule]]\nname = \"default\"\nsign = \"never\"\nencrypt = \"never\"\n", filepath.Join(dir, "queue.db"), local)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		parts, problems := Load(file, time.Now, slog.New(slog.DiscardHandler))
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		env := &relay.Envelope{Listener: "in", Sender: testpki.Must(address.Parse("eve@example.net")),
			Recipients: []relay.Recipient{{Address: testpki.Must(address.Parse("bob@example.com"))}}}
		letter := testpki.Must(message.Parse([]byte("From: eve@example.net\r\nSubject: x\r\n\r\ny\r\n")))
		a, err := parts.Gateway.Process(t.Context(), env, letter, relay.Capabilities{Edit: func(relay.Delivery) bool { return true }})
		if err != nil {
			t.Fatal(err)
		}
		if got := parts.Gateway.Direction(env, env.Recipients[0].Address); got != enforce.Outbound {
			t.Fatalf("direction %v", got)
		}
		if (a.Edit == nil) != want {
			t.Errorf("%q: by the next hop %t, want %t", local, a.Edit == nil, want)
		}
		if err := parts.Close(); err != nil {
			t.Error(err)
		}
	}
}
