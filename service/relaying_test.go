package service

import (
	"bufio"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

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

// relayed are recipients that are not local, or by whose address a server behind the
// gateway would find one that is not.
func relayed() (list []string) {
	for _, victim := range []string{"victim@example.net", "victim@example.net.", "VICTIM@EXAMPLE.NET", "victim@sub.example.org", "victim@example.org.example.net",
		"victim@[192.0.2.9]", "victim@[IPv6:2001:db8::9]", "victim@[example.org]", "victim@[127.0.0.1]", "victim@localhost", "victim@example", "victim@xn--exmple-cua.net",
		"victim@ex\u00e4mple.net", "victim@example\u3002net", "victim@example\uff0enet", "victim@\uff45xample.net", "victim@notexample.org", "victim@example.org-", "postmaster@example.net", "abuse@example.net"} {
		list = append(list, "<"+victim+">", victim)
	}
	for _, local := range []string{
		"victim%example.net", "victim%example.net%example.org", "example.net!victim", "example.org!example.net!victim", "victim@example.net", "victim@example.net@example.org",
		"@example.net:victim", "@example.org:victim@example.net", "victim/example.net", "+victim@example.net", "victim\\@example.net", "victim%[192.0.2.9]", "!victim", "%victim",
	} {
		list = append(list, "<"+local+"@example.org>", `<"`+strings.ReplaceAll(local, `\`, `\\`)+`"@example.org>`, local+"@example.org", `"`+strings.ReplaceAll(local, `\`, `\\`)+`"@EXAMPLE.ORG`)
	}
	for _, route := range []string{"@example.org", "@example.org,@example.net", "@gw.example.org", "@[127.0.0.1]", "@localhost", "@EXAMPLE.ORG", "@example.org,@example.org"} {
		list = append(list, "<"+route+":victim@example.net>", "<"+route+`:"victim"@example.net>`, "<"+route+":victim@example.org>", route+":victim@example.net")
	}
	return append(list,
		"<victim>", "<victim%example.net>", "<example.net!victim>", `<"victim@example.net">`, "<victim@>", "<@example.net>", "<>", "<@>", "< victim@example.net >",
		"<victim@example.net> <a@example.org>", "<a@example.org,victim@example.net>", "<a@example.org>,<victim@example.net>", "<a@example.org> victim@example.net",
		`<"a@example.org> <victim"@example.net>`, `<"a@example.org\" "@example.net>`, "<victim(comment)@example.net>", "<victim@example.net(comment)>", "<victim@(x)example.net>",
		"Victim <victim@example.net>", "<<victim@example.net>>", "<victim@example.net", "victim@example.net>", "<victim@example.net\x00@example.org>", "<victim@example.org\x00.example.net>",
		"<victim@example.net\t@example.org>", "<victim@example.org @example.net>", "<victim@example.net;a@example.org>", "<a@example.org:victim@example.net>", "<smtp:victim@example.net>", "<mailto:victim@example.net>",
		"<victim=40example.net@example.org@example.net>", "<victim@example.net?a@example.org>", "<victim@example.org/example.net>", "<victim@example.org%example.net>",
		"<postmaster@example.net>", "<postmaster%example.net@example.org>", "<postmaster@example.org@example.net>", `<"postmaster@example.net"@gw.example.org>`,
		"<victim@example.net> ORCPT=rfc822;a@example.org", "<victim@example.net> NOTIFY=NEVER", "<victim@example.net> RELAY=yes", "<victim@xn--example-.net>", "<victim@exa_mple.net>", "<victim@.example.net>", "<victim@example..net>")
}

// senders are the ways to seem to be allowed to send.
var senders = []string{
	"<a@example.net>", "<>", "<alice@example.org>", "<victim@example.net>", "<postmaster@gw.example.org>", "<@example.org:a@example.net>", "<alice@example.org> AUTH=alice@example.org",
	"<alice@example.org> AUTH=<>", "postmaster", "<alice@localhost>", "<alice@[127.0.0.1]>",
}

// No client that is in no network and not logged in can send to anybody else than the local
// domains, whatever it writes, by any listener.
func TestNoRelaying(t *testing.T) {
	recipients := relayed()
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
			for _, sender := range senders {
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
