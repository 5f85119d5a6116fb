package doctor

import (
	"net"
	"path/filepath"
	"slices"
	"strings"

	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/internal/postfix"
)

// Config is the gateway's.
func (m *mta) Config() *config.Config { return m.config }

// ours reports whether a transport, such as "lmtp:[127.0.0.1]:10025", leads to a listener.
func (m *mta) ours(transport string) bool {
	_, _, found := strings.Cut(transport, ":")
	return found && m.isListener(m.socket(transport), "")
}

// socket is endpoint, as the client of Postfix finds it: a path is relative to the queue
// directory, and below it in a chroot.
func (m *mta) socket(transport string) string {
	path, ok := strings.CutPrefix(endpoint(transport), "unix:")
	if !ok {
		return endpoint(transport)
	}
	if !filepath.IsAbs(path) || m.chrooted(transport) {
		path = filepath.Join(m.Main("queue_directory"), path)
	}
	return "unix:" + path
}

// chrooted reports whether the client that a transport names runs in a chroot.
func (m *mta) chrooted(transport string) bool {
	name, _, _ := strings.Cut(transport, ":")
	return slices.ContainsFunc(m.Services, func(s postfix.Service) bool { return s.Name == name && s.Type == "unix" && s.Chrooted })
}

// endpoint is the next hop of a transport as a listener writes its address:
// "127.0.0.1:10025" or "unix:/path".
func endpoint(transport string) string {
	_, hop, _ := strings.Cut(transport, ":")
	hop = strings.TrimPrefix(hop, "inet:")
	if strings.HasPrefix(hop, "unix:") {
		return hop
	}
	return strings.NewReplacer("[", "", "]", "").Replace(hop)
}

// isListener reports whether an address is that of a listener with the protocol; "" is
// any but the milter.
func (m *mta) isListener(address, protocol string) bool {
	return slices.ContainsFunc(m.config.Listeners, func(l config.Listener) bool {
		return (l.Protocol == protocol || protocol == "" && l.Protocol != "milter") && sameEndpoint(l.Address, address)
	})
}

// sameEndpoint compares the address of a listener with one that a client connects to.
func sameEndpoint(listener, client string) bool {
	if listener == client {
		return true
	}
	listener, client = strings.Replace(listener, "localhost:", "127.0.0.1:", 1), strings.Replace(client, "localhost:", "127.0.0.1:", 1)
	host, port, err := net.SplitHostPort(listener)
	to, toPort, err2 := net.SplitHostPort(client)
	if err != nil || err2 != nil || port != toPort {
		return false
	}
	everywhere := host == "" || net.ParseIP(host).IsUnspecified()
	return host == to || everywhere
}

// milterEntry is one of smtpd_milters.
type milterEntry struct {
	address string // "127.0.0.1:10024", "unix:/path"
	action  string // its own default_action, "" if it has none
}

// milterList are the milters that a service asks, in their order.
func (m *mta) milterList(s *postfix.Service) []milterEntry {
	if overrides(m, s, "no_milters") {
		return nil
	}
	return m.named(s)
}

// named are those that smtpd_milters names, whether they are asked or not.
func (m *mta) named(s *postfix.Service) []milterEntry {
	if s.Command != "smtpd" {
		return nil
	}
	var all []milterEntry
	for text := m.Of(s, "smtpd_milters"); ; {
		text = strings.TrimLeft(text, " \t,")
		if text == "" {
			return all
		}
		var e milterEntry
		e, text = m.milterEntry(s, text)
		all = append(all, e)
	}
}

// milterEntry reads the first entry: "inet:host:port", or one in braces with options.
func (m *mta) milterEntry(s *postfix.Service, text string) (e milterEntry, rest string) {
	var words []string
	if inside, found := strings.CutPrefix(text, "{"); found {
		inside, rest, _ = strings.Cut(inside, "}")
		words = strings.FieldsFunc(inside, func(r rune) bool { return r == ' ' || r == ',' || r == '\t' })
	} else if i := strings.IndexAny(text, " \t,"); i >= 0 {
		words, rest = []string{text[:i]}, text[i:]
	} else {
		words = []string{text}
	}
	if len(words) == 0 {
		return e, rest
	}
	for _, w := range words[1:] {
		if action, ok := strings.CutPrefix(w, "default_action="); ok {
			e.action = action
		}
	}
	e.address = m.milterAddress(s, words[0])
	return e, rest
}

// milterAddress is where smtpd finds a milter: paths are relative to the queue directory,
// and below it in a chroot.
func (m *mta) milterAddress(s *postfix.Service, text string) string {
	text = strings.TrimPrefix(text, "inet:")
	path, ok := strings.CutPrefix(text, "unix:")
	if !ok {
		path, ok = strings.CutPrefix(text, "local:")
	}
	switch {
	case !ok:
		return strings.NewReplacer("[", "", "]", "").Replace(text)
	case s.Chrooted || !filepath.IsAbs(path):
		path = filepath.Join(m.Main("queue_directory"), path)
	}
	return "unix:" + path
}

// names reports whether the gateway is one of the milters.
func (m *mta) names(list []milterEntry) bool { return m.position(list) >= 0 }

// position is the gateway's among milters, -1 if it is none.
func (m *mta) position(list []milterEntry) int {
	return slices.IndexFunc(list, func(e milterEntry) bool { return m.isListener(e.address, "milter") })
}
