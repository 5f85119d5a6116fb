package service

import (
	"bufio"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/wiretest"
	"github.com/smimerelay/smimerelay/relay/userfile"
)

// outsiders is a service of which a client on this host may use each listener, and none
// to send to others: it is in no network, and not logged in.
const outsiders = `
hostname = "gw.example.org"
domains = ["example.org"]
[limits]
errors_per_connection = 10000
[queue]
path = "%DIR%/queue.db"
[store]
url = "%DIR%/store.db"
[auth]
users_file = "users"
[next_hop]
address = "%HOP%"
tls = "off"
[trust]
revocation = "off"
fetch = false
[[listener]]
name = "auto"
protocol = "smtp"
address = "127.0.0.1:0"
[[listener]]
name = "inbound"
protocol = "smtp"
address = "127.0.0.1:0"
direction = "inbound"
[[listener]]
name = "networks"
protocol = "smtp"
address = "127.0.0.1:0"
networks = ["192.0.2.0/24", "2001:db8::/32"]
[[listener]]
name = "outbound"
protocol = "smtp"
address = "127.0.0.1:0"
direction = "outbound"
networks = ["192.0.2.0/24"]
[[listener]]
name = "logins"
protocol = "smtp"
address = "127.0.0.1:0"
direction = "outbound"
auth = "always"
[[listener]]
name = "proxies"
protocol = "smtp"
address = "127.0.0.1:0"
networks = ["192.0.2.0/24"]
proxy = ["192.0.2.1/32"]
xclient = ["192.0.2.1/32"]
`

// No client that is in no network and not logged in can send to anybody else than the local
// domains, whatever it writes, by any listener.
func TestNoRelaying(t *testing.T) {
	recipients := wiretest.Relayed()
	if len(recipients) < 100 {
		t.Fatalf("%d attempts", len(recipients))
	}
	users := filepath.Join(t.TempDir(), "users")
	if err := userfile.Add(users, "alice", "geheim"); err != nil {
		t.Fatal(err)
	}
	w := startWorld(t, strings.Replace(outsiders, `"users"`, strconv.Quote(users), 1))
	for _, listener := range []string{"auto", "inbound", "networks", "outbound", "logins", "proxies"} {
		t.Run(listener, func(t *testing.T) {
			c, err := net.Dial("tcp", w.address(listener))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			r := bufio.NewReader(c)
			do := func(line string) string {
				if line != "" {
					if _, err := fmt.Fprintf(c, "%s\r\n", line); err != nil {
						t.Fatal(err)
					}
				}
				for {
					answer, err := r.ReadString('\n')
					if err != nil {
						t.Fatalf("%q: %q %v", line, answer, err)
					}
					if len(answer) > 3 && answer[3] == ' ' {
						return strings.TrimSpace(answer)
					}
				}
			}
			do("")
			do("EHLO gw.example.org")
			for _, claim := range []string{
				"XCLIENT ADDR=192.0.2.9 LOGIN=alice", "PROXY TCP4 192.0.2.9 127.0.0.1 1 25", "AUTH EXTERNAL =", "AUTH PLAIN AGFsaWNlAHNlY3JldA==", "AUTH PLAIN AGFsaWNlAA==",
			} {
				if answer := do(claim); answer[0] != '5' {
					t.Errorf("%s: %s", claim, answer)
				}
			}
			for _, sender := range wiretest.Entitled {
				if answer := do("MAIL FROM:" + sender + " SMTPUTF8"); answer[0] != '2' {
					continue
				}
				for _, to := range recipients {
					if answer := do("RCPT TO:" + to); answer[0] != '5' {
						t.Errorf("from %s to %q: %s", sender, to, answer)
					}
				}
				if answer := do("DATA"); answer[0] != '5' {
					t.Fatalf("from %s: DATA: %s", sender, answer)
				}
				do("RSET")
			}
			if listener == "auto" {
				// The attempts would be refused for another reason if this were.
				do("MAIL FROM:<a@example.net>")
				for _, to := range []string{"<bob@example.org>", "<bob@EXAMPLE.org>", "<Postmaster>", "<postmaster@gw.example.org>"} {
					if answer := do("RCPT TO:" + to); answer[0] != '2' {
						t.Errorf("to %s: %s", to, answer)
					}
				}
			}
			do("QUIT")
		})
	}
}
