package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/internal/postfix"
)

// mta is the Postfix of this machine as far as it leads to the gateway.
type mta struct {
	*examination
	*postfix.Settings
	// reinjection are the ports of next hops, which the gateway's mail returns by.
	reinjection []*postfix.Service
	lmtp        bool // it gives mail to the gateway by LMTP
	milter      bool // it asks the gateway as a milter
	relay       bool // it sends all outgoing mail to the gateway by SMTP
}

// postfix examines main.cf and master.cf.
func (x *examination) postfix(ctx context.Context) {
	if x.Postfix == "" {
		return
	}
	settings, err := postfix.Read(ctx, x.Postfix)
	if errors.Is(err, postfix.ErrNone) {
		x.add(Note, "postfix", x.Postfix, "Postfix is not installed here", "examine it where it runs: smimerelay doctor --postfix FOLDER")
		return
	}
	if err != nil {
		x.add(Error, "postfix", x.Postfix, err.Error(), "correct main.cf and master.cf; postfix check says more")
		return
	}
	m := &mta{examination: x, Settings: settings}
	before := len(x.findings)
	m.find()
	if !m.lmtp && !m.milter && !m.relay {
		if milter, client := m.chroot(), m.clientChroot(); !milter && !client {
			m.unused()
		}
		return
	}
	if !m.relay {
		m.entries()
	}
	if m.relay {
		m.bypasses()
	}
	m.routed()
	m.returns()
	m.changes()
	m.transports()
	m.handover()
	m.milters()
	m.clientChroot()
	if len(x.findings) == before {
		x.ok("postfix", x.Postfix, "leads to the gateway, and nothing behind it changes signed mail")
	}
}

func (m *mta) warn(where, text, remedy string) { m.add(Warning, "postfix", where, text, remedy) }
func (m *mta) fail(where, text, remedy string) { m.add(Error, "postfix", where, text, remedy) }

// find notes in which ways Postfix leads to the gateway, and where that returns its mail.
func (m *mta) find() {
	for i := range m.Services {
		s := &m.Services[i]
		if m.isNextHop(s) {
			m.reinjection = append(m.reinjection, s)
		}
		m.lmtp = m.lmtp || m.ours(m.Of(s, "content_filter")) || m.isListener(bare(m.Of(s, "smtpd_proxy_filter")), "lmtp")
		m.milter = m.milter || m.names(m.named(s))
	}
	for _, name := range []string{"content_filter", "default_transport", "local_transport", "relay_transport", "virtual_transport", "mailbox_transport"} {
		m.lmtp = m.lmtp || m.ours(m.Main(name))
	}
	m.relay = m.ours("smtp:" + m.Main("relayhost"))
}

// unused: a Postfix that gives the gateway nothing, as is meant where it is a relay for other
// servers.
func (m *mta) unused() {
	before := len(m.findings)
	for i := range m.Services {
		m.astray(&m.Services[i])
	}
	expected := slices.ContainsFunc(m.config.Listeners, func(l config.Listener) bool { return l.Protocol != "smtp" })
	switch {
	case len(m.findings) > before:
	case !expected:
		m.add(Note, "postfix", m.Folder, "gives no mail to the gateway, which is a relay for others", "if it should, set relayhost to a listener; --postfix none leaves Postfix out")
	default:
		m.fail(m.Folder, "nothing leads to a listener of the gateway: no mail is signed, encrypted or verified", "smimerelay init prints the lines for main.cf and master.cf")
	}
}

// astray: a filter on this machine that is not the gateway. It reports whether s has one.
func (m *mta) astray(s *postfix.Service) bool {
	to := endpoint(m.Of(s, "content_filter"))
	if !isLocal(to) || m.ours(m.Of(s, "content_filter")) || s.Command != "smtpd" && s.Command != "pickup" {
		return false
	}
	m.fail(label(s, "content_filter"), fmt.Sprintf("leads to %s, where no [[listener]] is", to),
		"correct the address there or in [[listener]]; if another filter is there, have it pass mail on to the gateway")
	return true
}

// entries are the ways by which mail comes in: none may lead past the gateway.
func (m *mta) entries() {
	for i := range m.Services {
		s := &m.Services[i]
		if m.returned(s) || m.ours(m.Of(s, "content_filter")) || m.astray(s) {
			continue
		}
		switch {
		case s.Command == "pickup":
			m.warn(label(s, "content_filter"), "mail that programs send with sendmail(1) passes no rule",
				"postconf -P 'pickup/unix/content_filter=lmtp:[127.0.0.1]:10025', with the address of a [[listener]] with protocol = \"lmtp\"")
		case m.names(m.named(s)) || m.isListener(bare(m.Of(s, "smtpd_proxy_filter")), ""):
			// handover reports what keeps it from the gateway
		case m.lost(s):
			// clientChroot does
		case s.Command == "smtpd" && s.Type == "inet":
			m.warn(label(s, ""), "mail that is accepted on this port passes no rule", "give it the content_filter or the smtpd_milters of the other ports")
		}
	}
	if !m.ours(m.Main("default_transport")) && !m.ours(m.Main("content_filter")) {
		m.warn("default_transport", "mail that aliases and .forward files send to other domains passes no rule",
			"postconf -e 'default_transport = lmtp:[127.0.0.1]:10029', with the address of a [[listener]] with direction = \"inbound\"")
	}
}

// routed: recipients that name another one leave by rules that were not meant for them.
func (m *mta) routed() {
	if !m.Config().Routed {
		return // then the gateway rejects them
	}
	for name, want := range map[string]string{"allow_percent_hack": "no", "swap_bangpath": "no", "resolve_dequoted_address": "yes"} {
		if m.Main(name) != want {
			m.fail(name, fmt.Sprintf("is %s, and allow_routed_addresses is set: user%%partner@ours leaves for the partner by the rules for ours", m.Main(name)),
				fmt.Sprintf("postconf -e '%s = %s', or remove allow_routed_addresses", name, want))
		}
	}
}

// returned reports whether s is a port for mail that comes from the gateway.
func (m *mta) returned(s *postfix.Service) bool {
	for _, r := range m.reinjection {
		if r == s {
			return true
		}
	}
	return false
}

// transports are the clients that give mail to the gateway by LMTP.
func (m *mta) transports() {
	if !m.lmtp {
		return
	}
	if n := m.Main("lmtp_line_length_limit"); n != "0" && n != "" {
		m.warn("lmtp_line_length_limit", "is "+n+": longer lines are broken before they are signed, and signatures of others break", "postconf -e lmtp_line_length_limit=0")
	}
	limit := cmp.Or(m.Main("lmtp_destination_recipient_limit"), m.Main("default_destination_recipient_limit"))
	if n, err := strconv.Atoi(limit); err == nil && n != 0 && n < m.Config().Limits.Recipients {
		m.warn("lmtp_destination_recipient_limit", fmt.Sprintf("is %d: a message is split before the rules compare its recipients, and may leave encrypted to some and in plaintext to others", n),
			fmt.Sprintf("postconf -e lmtp_destination_recipient_limit=%d", m.Config().Limits.Recipients))
	}
	if m.Main("lmtp_send_xforward_command") != "yes" {
		m.warn("lmtp_send_xforward_command", "is not set: all mail seems to come from Postfix, and networks of a listener mean nothing", "postconf -e lmtp_send_xforward_command=yes")
	}
	for i := range m.Services {
		if s := &m.Services[i]; s.Command == "smtpd" && !m.returned(s) {
			m.size(s)
		}
	}
}

// size: a port for clients should refuse what the gateway refuses. It has a limit of its own,
// since that of main.cf is for what comes back, which has grown.
func (m *mta) size(s *postfix.Service) {
	size, err := strconv.ParseInt(m.Of(s, "message_size_limit"), 10, 64)
	if own := int64(m.Config().Limits.MessageSize); err == nil && (size == 0 || size > own) {
		m.warn(label(s, "message_size_limit"), fmt.Sprintf("is %d, more than limits.message_size: larger messages are accepted, and then returned to their senders", size),
			fmt.Sprintf("postconf -P '%s=%d', or raise limits.message_size", label(s, "message_size_limit"), own))
	}
}

// label names a parameter as it is for a service, as postconf -P writes it.
func label(s *postfix.Service, parameter string) string {
	return strings.TrimSuffix(s.Name+"/"+s.Type+"/"+parameter, "/")
}
