package doctor

import (
	"cmp"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/smimerelay/smimerelay/internal/postfix"
)

// milters examines how smtpd asks milters: the gateway, and those beside it.
func (m *mta) milters() {
	for i := range m.Services {
		s := &m.Services[i]
		list := m.milterList(s)
		at := m.position(list)
		if at < 0 {
			if m.ours(m.Of(s, "content_filter")) {
				m.signers(s, list)
			}
			continue
		}
		m.action(s, list[at])
		m.signers(s, list[:at])
	}
	m.chroot()
}

// action: what Postfix does while the gateway is down.
func (m *mta) action(s *postfix.Service, e milterEntry) {
	action := cmp.Or(e.action, m.Of(s, "milter_default_action"))
	where := "milter_default_action"
	if _, own := s.Options[where]; own {
		where = label(s, where)
	}
	const remedy = "postconf -e milter_default_action=tempfail, and remove another default_action of this milter"
	switch action {
	case "accept":
		m.fail(where, "is accept: while the gateway is down, mail that must be encrypted leaves in plaintext", remedy)
	case "reject":
		m.warn(where, "is reject: while the gateway is down, mail is refused for good", remedy)
	}
}

// signers are milters that see mail before the gateway changes it.
func (m *mta) signers(s *postfix.Service, before []milterEntry) {
	for _, e := range before {
		if strings.Contains(strings.ToLower(e.address), "dkim") {
			m.warn(label(s, "smtpd_milters"), fmt.Sprintf("%q comes before the gateway, which changes what it signs: DKIM signatures of outgoing mail break", e.address),
				"sign with DKIM behind the gateway: on the port of next_hop.address, or after its milter; verify before it")
		}
	}
}

// clientChroot is chroot for the client that gives mail by LMTP or SMTP.
func (m *mta) clientChroot() (found bool) {
	for i := range m.Services {
		s := &m.Services[i]
		if !m.lost(s) {
			continue
		}
		transport := m.Of(s, "content_filter")
		m.fail(label(s, "content_filter"), fmt.Sprintf("the client runs in a chroot and looks for %q in %s", strings.TrimPrefix(endpoint(transport), "unix:"), m.Main("queue_directory")),
			fmt.Sprintf("set address = %q in [[listener]]; content_filter stays", m.socket(transport)))
		found = true
	}
	return found
}

// lost reports whether a filter names the socket of a listener, which its client does not find.
func (m *mta) lost(s *postfix.Service) bool {
	transport := m.Of(s, "content_filter")
	to := endpoint(transport)
	return strings.HasPrefix(to, "unix:") && !m.ours(transport) && m.isListener(to, "")
}

// chroot: a listener on a unix socket that no service names may be one that smtpd looks
// for inside of its chroot. It reports whether it found one.
func (m *mta) chroot() (found bool) {
	queue := m.Main("queue_directory")
	for _, l := range m.config.Listeners {
		path, ok := strings.CutPrefix(l.Address, "unix:")
		if l.Protocol != "milter" || !ok {
			continue
		}
		for i := range m.Services {
			s := &m.Services[i]
			for _, e := range m.milterList(s) {
				if e.address == "unix:"+filepath.Join(queue, path) && s.Chrooted {
					m.fail(label(s, "smtpd_milters"), fmt.Sprintf("smtpd runs in a chroot and looks for %q in %s", path, queue),
						fmt.Sprintf("set address = %q in [[listener]]; smtpd_milters stays", "unix:"+filepath.Join(queue, path)))
					found = true
				}
			}
		}
	}
	return found
}
