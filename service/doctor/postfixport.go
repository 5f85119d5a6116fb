package doctor

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/smimerelay/smimerelay/internal/postfix"
)

// returns are the ports by which the gateway's mail comes back: they must not lead to the
// gateway again, and must trust no one else.
func (m *mta) returns() {
	for _, s := range m.reinjection {
		if m.ours(m.Of(s, "content_filter")) || m.names(m.milterList(s)) {
			parameter := "content_filter"
			if m.names(m.milterList(s)) {
				parameter = "smtpd_milters"
			}
			m.fail(label(s, parameter), "leads mail from the gateway to the gateway again: it loops", fmt.Sprintf("postconf -P '%s='", label(s, parameter)))
		}
		m.exposure(s)
		if strings.Contains(strings.ToLower(m.Of(s, "smtpd_discard_ehlo_keywords")), "8bitmime") {
			m.warn(label(s, "smtpd_discard_ehlo_keywords"), "hides 8BITMIME: signed mail with 8-bit text that is passed on is refused", "remove 8bitmime from it")
		}
	}
}

// exposure: who can connect to a port that trusts its clients sends mail past all rules.
func (m *mta) exposure(s *postfix.Service) {
	host, _ := hostPort(s.Name)
	open := !isLoopback(host)
	if host == "" {
		interfaces := m.Of(s, "inet_interfaces")
		open = interfaces != "loopback-only" && interfaces != "localhost" && interfaces != "127.0.0.1"
	}
	if open {
		m.fail(label(s, ""), "listens on the network: who connects sends mail past all rules", "name it 127.0.0.1:"+port(s.Name)+" in master.cf")
	}
	trusted := strings.FieldsFunc(m.Of(s, "mynetworks"), func(r rune) bool { return r == ' ' || r == ',' || r == '\t' })
	local := false
	for _, text := range trusted {
		network, err := netip.ParsePrefix(strings.NewReplacer("[", "", "]", "").Replace(text))
		if err != nil {
			continue // a table, or one address
		}
		local = local || network.Contains(netip.MustParseAddr("127.0.0.1"))
		if !network.Addr().IsLoopback() {
			m.warn(label(s, "mynetworks"), fmt.Sprintf("trusts %s on a port that is for the gateway alone", text), fmt.Sprintf("postconf -P '%s=127.0.0.0/8'", label(s, "mynetworks")))
			local = true
			break
		}
	}
	if !local && len(trusted) == 0 {
		m.fail(label(s, "mynetworks"), "does not have the gateway: its mail is refused", fmt.Sprintf("postconf -P '%s=127.0.0.0/8'", label(s, "mynetworks")))
	}
}

// isNextHop reports whether a service is a port that the gateway delivers to.
func (m *mta) isNextHop(s *postfix.Service) bool {
	if s.Type != "inet" || s.Command != "smtpd" {
		return false
	}
	host, service := hostPort(s.Name)
	for _, n := range m.parts.NextHops() {
		for _, address := range n.Hosts() {
			to, p, err := net.SplitHostPort(address)
			if err == nil && p == service && isLocal(address) && (host == "" || isLoopback(host) || host == to) {
				return true
			}
		}
	}
	return false
}

// hostPort splits the name of an inet service; a name of a port becomes its number.
func hostPort(name string) (host, port string) {
	i := strings.LastIndexByte(name, ':')
	host, port = strings.Trim(name[:max(i, 0)], "[]"), name[i+1:]
	if n, err := net.LookupPort("tcp", port); err == nil {
		port = strconv.Itoa(n)
	}
	return host, port
}

func port(name string) string {
	_, p := hostPort(name)
	return p
}

func isLoopback(host string) bool { return host == "localhost" || net.ParseIP(host).IsLoopback() }

// isLocal reports whether "host:port" is on this machine, by its loopback interface.
func isLocal(endpoint string) bool {
	host, _, err := net.SplitHostPort(endpoint)
	return err == nil && isLoopback(host)
}
