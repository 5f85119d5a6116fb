package doctor

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/internal/postfix"
)

// handover is what keeps Postfix from giving mail to the gateway as it should: TLS that a
// listener does not have, refusals that do not reach the sender, time-outs.
func (m *mta) handover() {
	for i := range m.Services {
		s := &m.Services[i]
		if !m.returned(s) && m.names(m.named(s)) && overrides(m, s, "no_milters") {
			m.fail(label(s, "receive_override_options"), "has no_milters: the gateway is not asked, and mail of this port passes no rule", "remove no_milters from it")
		}
		if to := bare(m.Of(s, "smtpd_proxy_filter")); to != "" && m.isListener(to, "lmtp") {
			m.fail(label(s, "smtpd_proxy_filter"), "speaks SMTP to a listener of LMTP: mail is deferred",
				fmt.Sprintf("postconf -P '%s=' '%s=lmtp:[127.0.0.1]:%s'", label(s, "smtpd_proxy_filter"), label(s, "content_filter"), port(to)))
		}
	}
	if m.Main("soft_bounce") == "yes" {
		m.warn("soft_bounce", "is yes: what the gateway rejects stays in the queue for days, and the sender does not learn of it", "postconf -e soft_bounce=no")
	}
	for _, way := range []struct {
		client string
		uses   bool
	}{{"lmtp", m.lmtp}, {"smtp", m.relay}} {
		if way.uses {
			m.client(way.client)
		}
	}
	if m.milter {
		m.milterTimes()
	}
}

// client examines the parameters of Postfix's client that gives mail to the gateway.
func (m *mta) client(name string) {
	level := name + "_tls_security_level"
	if demandsTLS(m.Main(level)) && m.Main(name+"_tls_policy_maps") == "" && slices.ContainsFunc(m.config.Listeners, func(l config.Listener) bool { return l.Protocol == name && l.TLSCert == "" }) {
		m.fail(level, fmt.Sprintf("is %s, and a [[listener]] has no TLS: mail to it is deferred", m.Main(level)),
			fmt.Sprintf("postconf -e %s=may, or set tls_certificate and tls_key in [[listener]]", level))
	}
	discard := "lmtp_discard_lhlo_keywords"
	if name == "smtp" {
		discard = "smtp_discard_ehlo_keywords"
	}
	for _, keyword := range []struct{ name, text string }{
		{"8bitmime", "8-bit text is re-encoded, and signatures of others break"},
		{"dsn", "the wishes of senders for delivery reports end here"},
		{"xforward", "all mail seems to come from Postfix, and networks of a listener mean nothing"},
	} {
		if slices.Contains(words(strings.ToLower(m.Main(discard))), keyword.name) {
			m.warn(discard, "hides "+strings.ToUpper(keyword.name)+": "+keyword.text, "remove "+keyword.name+" from it")
		}
	}
	done := name + "_data_done_timeout"
	m.patience(done, m.Main(done))
}

// milterTimes examines how long Postfix waits for the gateway as a milter, and what it says to it.
func (m *mta) milterTimes() {
	m.patience("milter_content_timeout", m.Main("milter_content_timeout"))
	if n, err := strconv.Atoi(m.Main("milter_protocol")); err == nil && n < 6 {
		m.warn("milter_protocol", fmt.Sprintf("is %d: Postfix gives no queue id before the second recipient, and header fields not as they came", n), "postconf -e milter_protocol=6")
	}
}

// patience: Postfix should wait longer for the answer to a message than the gateway for its
// directories, and than it works on one.
func (m *mta) patience(parameter, value string) {
	t, ok := postfixTime(value)
	switch work := m.config.Limits.Process; {
	case !ok:
	case t <= m.config.Lookup.Timeout:
		m.warn(parameter, fmt.Sprintf("is %s, and lookup.timeout is %s: messages are deferred while a directory is slow", value, m.config.Lookup.Timeout), "postconf -e "+parameter+"=300s")
	case t <= work:
		m.warn(parameter, fmt.Sprintf("is %s, and limits.process_timeout is %s: messages that take longer are deferred, each time", value, work),
			fmt.Sprintf("postconf -e %s=%.0fs", parameter, (work+time.Minute).Seconds()))
	}
}

// postfixTime reads a time of Postfix: a number of seconds, or with the unit s, m, h, d or w.
func postfixTime(text string) (time.Duration, bool) {
	unit := time.Second
	for suffix, u := range map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour} {
		if number, found := strings.CutSuffix(text, suffix); found {
			text, unit = number, u
			break
		}
	}
	n, err := strconv.ParseUint(text, 10, 31)
	return time.Duration(n) * unit, err == nil
}

// demandsTLS reports whether a security level of Postfix defers mail to a server without TLS.
func demandsTLS(level string) bool {
	return slices.Contains([]string{"encrypt", "dane-only", "fingerprint", "verify", "secure"}, level)
}

// bare is an address of Postfix as a listener writes it, without the brackets.
func bare(text string) string {
	return strings.NewReplacer("[", "", "]", "").Replace(strings.TrimPrefix(text, "inet:"))
}

// words splits a list of Postfix.
func words(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ' ' || r == ',' || r == '\t' })
}

// overrides reports whether receive_override_options of a service has a word.
func overrides(m *mta, s *postfix.Service, word string) bool {
	return slices.Contains(words(m.Of(s, "receive_override_options")), word)
}

// changes are what Postfix does to mail after the gateway: it must not change what is signed.
func (m *mta) changes() {
	for _, s := range m.reinjection {
		for _, checks := range []string{"mime_header_checks", "nested_header_checks", "body_checks"} {
			if m.Of(s, checks) != "" && !overrides(m, s, "no_header_body_checks") {
				m.warn(label(s, checks), "may change or remove lines of what the gateway signed, and sees ciphertext", "postconf -P '"+label(s, "receive_override_options")+"="+withWord(m.Of(s, "receive_override_options"), "no_header_body_checks")+"'")
			}
		}
		if demandsTLS(m.Of(s, "smtpd_tls_security_level")) && m.config.NextHop.TLS == "off" && m.isMainHop(s) {
			m.fail(label(s, "smtpd_tls_security_level"), "is "+m.Of(s, "smtpd_tls_security_level")+", and next_hop.tls is off: mail from the gateway is refused", "postconf -P '"+label(s, "smtpd_tls_security_level")+"=may'")
		}
		for _, restrictions := range []string{"smtpd_client_restrictions", "smtpd_helo_restrictions", "smtpd_sender_restrictions", "smtpd_recipient_restrictions"} {
			m.loginMismatch(s, restrictions)
		}
	}
	for _, checks := range []string{"smtp_mime_header_checks", "smtp_nested_header_checks", "smtp_body_checks"} {
		if !m.relay && m.Main(checks) != "" {
			m.warn(checks, "may change or remove lines of mail that the gateway signed", "remove it, or do it before the gateway, with "+strings.TrimPrefix(checks, "smtp_"))
		}
	}
	if !m.relay && m.Main("smtp_generic_maps") != "" {
		m.warn("smtp_generic_maps", "rewrites addresses after the gateway: what From says then is not in the certificate of the signature, and recipients see an invalid one",
			"rewrite before the gateway, with sender_canonical_maps or canonical_maps")
	}
}

// loginMismatch: the gateway does not authenticate, so that its mail with local senders is refused.
func (m *mta) loginMismatch(s *postfix.Service, restrictions string) {
	for _, word := range words(m.Of(s, restrictions)) {
		switch word {
		case "permit_mynetworks", "permit":
			return
		case "reject_sender_login_mismatch", "reject_unauthenticated_sender_login_mismatch":
			m.fail(label(s, restrictions), "has "+word+": mail from the gateway, which does not authenticate, is refused", "postconf -P '"+label(s, restrictions)+"='")
			return
		}
	}
}

// isMainHop reports whether a port is that of [next_hop] or of a listener, and not of a route,
// which has a TLS of its own.
func (m *mta) isMainHop(s *postfix.Service) bool {
	hops := []string{m.config.NextHop.Address, m.config.NextHop.Local}
	for _, l := range m.config.Listeners {
		hops = append(hops, l.NextHop)
	}
	return slices.ContainsFunc(hops, func(hop string) bool { return isLocal(hop) && port(hop) == port(s.Name) })
}

func withWord(list, word string) string { return strings.TrimPrefix(list+","+word, ",") }

// bypasses are ways past the gateway where relayhost leads to it.
func (m *mta) bypasses() {
	for _, name := range []string{"sender_dependent_relayhost_maps", "sender_dependent_default_transport_maps", "default_transport"} {
		value := m.Main(name)
		if value == "" || name == "default_transport" && (value == "smtp" || value == "smtp:") {
			continue
		}
		m.warn(name, fmt.Sprintf("is %q, which counts before relayhost: that mail passes no rule", value), "postconf -X "+name)
	}
	if value := m.Main("transport_maps"); value != "" {
		m.add(Note, "postfix", "transport_maps", fmt.Sprintf("is %q, which counts before relayhost: mail to domains in it passes no rule", value), "have only local domains in it")
	}
}
