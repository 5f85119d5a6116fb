package routes

import (
	"fmt"
	"regexp"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/loopback"
	"github.com/smimerelay/smimerelay/internal/testing/wiretest"
	"github.com/smimerelay/smimerelay/relay/userfile"
	"github.com/smimerelay/smimerelay/test/rig"
)

// asked is the reply of a server that wants the content of a message.
var asked = regexp.MustCompile(`(?m)^354 `)

// TestNoOpenRelay: the binary, with listeners that have nothing but what they need, takes no
// mail for others from a client that it does not know, by none of the ways to name a
// recipient; what it takes for the local domain arrives, and nothing else does.
func TestNoOpenRelay(t *testing.T) {
	sink, dir := rig.StartSink(t), shared(t)
	cert, key := certificate(t, dir)
	if err := userfile.Add(dir+"/users", "erp@example.org", "geheim"); err != nil {
		t.Fatal(err)
	}
	listeners := []string{
		"", "direction = \"inbound\"", "networks = [\"192.0.2.0/24\"]", "direction = \"outbound\"\nnetworks = [\"192.0.2.0/24\"]",
		fmt.Sprintf("direction = \"outbound\"\nauth = \"tls\"\ntls_certificate = %q\ntls_key = %q", cert, key),
		"proxy = [\"192.0.2.1/32\"]\nxclient = [\"192.0.2.1/32\"]\nxforward = [\"192.0.2.1/32\"]",
	}
	config := fmt.Sprintf("hostname = \"gw.example.org\"\ndomains = [\"example.org\"]\n[trust]\nrevocation = \"off\"\n[auth]\nusers_file = %q\n"+
		"[next_hop]\naddress = %q\n[[rule]]\nname = \"default\"\nsign = \"never\"\nencrypt = \"never\"\n", dir+"/users", sink.Addr())
	var ports []int
	for i, options := range listeners {
		ports = append(ports, loopback.FreePort(t))
		config += fmt.Sprintf("[[listener]]\nname = \"l%d\"\nprotocol = \"smtp\"\naddress = \"127.0.0.1:%d\"\n%s\n", i, ports[i], options)
	}
	rig.StartGateway(t, program, config, ports...)
	attempts := 0
	for i, port := range ports {
		for n, to := range wiretest.Relayed() {
			from := wiretest.Entitled[n%len(wiretest.Entitled)]
			answers := transact(t, port, fmt.Sprintf("EHLO gw.example.org\r\nMAIL FROM:%s\r\nRCPT TO:%s\r\nDATA\r\nSubject: relayed\r\n\r\nx\r\n.\r\n", from, to))
			if asked.MatchString(answers) {
				t.Errorf("%q, from %s to %s: %s", listeners[i], from, to, answers)
			}
			attempts++
		}
	}
	if attempts < 600 {
		t.Errorf("%d attempts", attempts)
	}
	// The attempts would have failed for another reason if this did.
	answers := transact(t, ports[0], "EHLO c.example.net\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\nSubject: local\r\n\r\nx\r\n.\r\n")
	if !asked.MatchString(answers) {
		t.Errorf("to the local domain: %s", answers)
	}
	sink.Wait(t, "mail for the local domain", func(d rig.Delivery) bool { return d.To[0] == "bob@example.org" })
	if all := sink.All(); len(all) != 1 {
		t.Errorf("%d messages arrived", len(all))
	}
}
