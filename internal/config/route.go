package config

import (
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// byMX in Route.To stands for the mail exchangers of the recipient's domain.
const byMX = "mx"

// folderScheme begins an element of Route.To that is a folder.
const folderScheme = "folder:"

// Route is one [[route]].
type Route struct {
	Name            string   `toml:"name" doc:"name in logs and in route test: letters, digits, - and _" required:"yes"`
	Recipient       []string `toml:"recipient" doc:"condition: address, domain, .subdomains or glob of the recipient, or file:PATH"`
	ExceptRecipient []string `toml:"except_recipient" doc:"condition: not to these recipients"`
	Sender          []string `toml:"sender" doc:"condition: address, domain, .subdomains or glob of the envelope sender, <> for the null sender, or file:PATH"`
	ExceptSender    []string `toml:"except_sender" doc:"condition: not from these envelope senders"`
	Direction       string   `toml:"direction" doc:"condition: direction of the message; the gateway's own notices and reports are inbound to local domains and outbound to others; empty is either" enum:",outbound,inbound"`
	Listener        []string `toml:"listener" doc:"condition: glob of the listener name"`
	Rule            []string `toml:"rule" doc:"condition: glob of the name of the [[rule]] or [[inbound_rule]] that decided; a rule with recipient_group routes by group"`

	To       []string `toml:"to" doc:"where the mail goes: host:port or unix:/path, several in the order in which they are tried; \"mx\" alone for the mail exchangers of the recipient's domain; folder:/path alone for a Maildir, for tests" required:"yes"`
	Weights  []int    `toml:"weights" doc:"weights of the hosts in to, one for each: a host is tried first in proportion to its weight, and one with weight 0 only if all others fail; empty keeps their order" min:"0"`
	Port     int      `toml:"port" doc:"port of mail exchangers" min:"1"`
	Protocol string   `toml:"protocol" doc:"protocol of the hosts" enum:"smtp,lmtp"`

	TLS         string `toml:"tls" doc:"TLS to the hosts: require wants a certificate for the name of the host; opportunistic uses TLS if it is offered, without verification; dane does what TLSA records demand (RFC 7672) and is opportunistic without any; mta-sts is dane and, for hosts without usable TLSA records, does what the policy of the domain demands (RFC 8461). dane and mta-sts need resolvers in [dns] that validate, on a loopback address or over TLS" enum:"off,opportunistic,require,dane,mta-sts"`
	ImplicitTLS bool   `toml:"implicit_tls" doc:"begin with TLS, without STARTTLS, as on port 465; needs tls = \"require\""`
	CA          string `toml:"ca" doc:"PEM file with the CA certificates trusted by tls = \"require\"; empty uses those of the system" path:"file"`
	VerifyName  string `toml:"verify_name" doc:"name that the certificate of every host must have with tls = \"require\"; empty uses the name of the host"`
	TLSCert     string `toml:"tls_certificate" doc:"PEM file with the chain of a client certificate; empty shows none. It is read at each handshake" path:"file"`
	TLSKey      string `toml:"tls_key" doc:"PEM file with the private key of tls_certificate" path:"file" secret:"yes"`

	Auth         string   `toml:"auth" doc:"SASL mechanism to log in with; needs tls = \"require\", or hosts on this machine; empty does not log in" enum:",plain,login,xoauth2"`
	User         string   `toml:"user" doc:"user name for auth"`
	SecretFile   string   `toml:"secret_file" doc:"file with the password of user, or the token of xoauth2; it is read for each connection" path:"file" secret:"yes"`
	TokenCommand []string `toml:"token_command" doc:"program, with its arguments, that prints the token of xoauth2; it runs for each connection" shown:"program"`

	Source        []string      `toml:"source_address" doc:"IP addresses to connect from: the first of the family of the host; empty lets the system choose"`
	EHLO          string        `toml:"ehlo" doc:"host name in EHLO; empty uses hostname"`
	Concurrency   int           `toml:"concurrency" doc:"maximum number of messages that are given to one destination at once, which is a domain with to = [\"mx\"] and the route otherwise, by this node; 0 is no limit" min:"0"`
	Rate          int           `toml:"rate" doc:"maximum number of messages to one destination in a minute, by this node; 0 is no limit" min:"0"`
	PerConnection int           `toml:"messages_per_connection" doc:"maximum number of messages over one connection; 1 opens one for each" min:"1"`
	Pipelining    bool          `toml:"pipelining" doc:"send commands without waiting for each reply, to hosts that offer PIPELINING"`
	Chunking      bool          `toml:"chunking" doc:"send messages by BDAT to hosts that offer CHUNKING (RFC 3030), instead of DATA"`
	Timeout       time.Duration `toml:"timeout" doc:"how long to wait for one reply; 0s uses the timeouts of RFC 5321" min:"0s"`
	Attempt       time.Duration `toml:"attempt_timeout" doc:"how long one attempt to deliver a message may take in all, as in [next_hop]; 0s is no limit" min:"0s"`
	// Line is where it stands in the file; 0 is built in.
	Line int `toml:"-"`
}

// newRoute is what an element of the array starts from.
func newRoute() Route {
	everybody, none := []string{Everybody}, []string{}
	return Route{
		Recipient: everybody, Sender: everybody, Listener: everybody, Rule: everybody, ExceptRecipient: none, ExceptSender: none,
		Weights: []int{}, Port: 25, Protocol: "smtp", TLS: "opportunistic", TokenCommand: none, Source: none,
		PerConnection: 100, Pipelining: true, Chunking: true, Attempt: time.Hour,
	}
}

// Folder is the folder that mail goes to; "" if it goes to hosts.
func (r *Route) Folder() string {
	if len(r.To) != 1 || !strings.HasPrefix(r.To[0], folderScheme) {
		return ""
	}
	return strings.TrimPrefix(r.To[0], folderScheme)
}

// Hosts are the hosts that mail goes to; none if it goes to mail exchangers or a folder.
func (r *Route) Hosts() []string {
	if r.Folder() != "" || len(r.To) == 1 && r.To[0] == byMX {
		return nil
	}
	return r.To
}

// DNS is the section [dns].
type DNS struct {
	Resolvers []string      `toml:"resolvers" doc:"DNS resolvers for routes: address, address:port or tls://NAME, the next one if one fails; empty uses those of /etc/resolv.conf. They are asked over TCP. That they validated an answer (DNSSEC) counts only on a loopback address or over TLS"`
	CA        string        `toml:"ca" doc:"PEM file with the CA certificates trusted for resolvers over TLS; empty uses those of the system" path:"file"`
	Timeout   time.Duration `toml:"timeout" doc:"how long to wait for one answer" min:"100ms"`
	MTASTS    string        `toml:"mta_sts_folder" doc:"folder that keeps MTA-STS policies across restarts; empty keeps them in memory only. They are fetched from public addresses and those in trust.fetch_networks" path:"new"`
}

// routes checks what only the whole of a route can tell.
func (d *decoder) routes(c *Config) {
	names := seen{}
	for i, r := range c.Routes {
		key := index("route", i)
		d.unique(join(key, "name"), r.Name, names)
		if strings.Trim(r.Name, nameLetters) != "" {
			d.complain(join(key, "name"), "write letters, digits, - and _", "%q has other characters", r.Name)
		}
		d.destination(key, r)
		d.pair(key, "tls_certificate", "tls_key", r.TLSCert, r.TLSKey)
		d.login(key, r)
		d.secured(key, r)
		for n, s := range r.Source {
			if _, err := netip.ParseAddr(s); err != nil {
				d.complain(index(join(key, "source_address"), n), "write an IP address of this host", "%q is not one", s)
			}
		}
		if r.EHLO != "" {
			d.domain(join(key, "ehlo"), r.EHLO)
		}
		for _, l := range c.Listeners {
			if slices.ContainsFunc(r.To, func(to string) bool { return leadsTo(l.Address, to) }) {
				d.complain(join(key, "to"), "set another host", "%q is a listener of the gateway: mail would loop", l.Address)
			}
		}
	}
}

const nameLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

func (d *decoder) destination(key string, r Route) {
	at := join(key, "to")
	if r.To != nil && len(r.To) == 0 { // nil is missing, which is reported
		d.complain(at, `write a list such as ["mail.example.com:25"] or ["mx"]`, "is empty")
	}
	for n, to := range r.To {
		folder, isFolder := strings.CutPrefix(to, folderScheme)
		switch {
		case to == byMX, isFolder:
			if len(r.To) > 1 {
				d.complain(index(at, n), "give it a route of its own", "%q stands alone or not at all", to)
			}
			if isFolder && !filepath.IsAbs(folder) {
				d.complain(index(at, n), "write the whole path: folder:/srv/...", "%q is not an absolute path", folder)
			}
			if to == byMX && r.Protocol == "lmtp" {
				d.complain(join(key, "protocol"), `set protocol = "smtp"`, "mail exchangers speak SMTP")
			}
		default:
			d.endpoint(index(at, n), to)
		}
	}
	if len(r.Weights) > 0 && len(r.Weights) != len(r.Hosts()) {
		d.complain(join(key, "weights"), "write one number for each host in to", "numbers: %d, hosts: %d", len(r.Weights), len(r.Hosts()))
	}
}

func (d *decoder) login(key string, r Route) {
	if r.Auth == "" {
		if r.User != "" || r.SecretFile != "" || len(r.TokenCommand) > 0 {
			d.complain(join(key, "auth"), "set auth, or remove user, secret_file and token_command", "is missing")
		}
		return
	}
	switch {
	case r.User == "":
		d.complain(join(key, "user"), "write the user to log in as", "is missing")
	case len(r.TokenCommand) > 0 && r.Auth != "xoauth2":
		d.complain(join(key, "token_command"), "use secret_file", `has an effect only with auth = "xoauth2"`)
	case (r.SecretFile == "") == (len(r.TokenCommand) == 0):
		d.complain(join(key, "secret_file"), "name a file with the password or token, or for xoauth2 a token_command", "exactly one of secret_file and token_command is needed")
	}
	if r.TLS != "require" && !r.near() {
		d.complain(join(key, "auth"), `set tls = "require"`, "would show the password to hosts that have not proved who they are")
	}
}

// near reports whether all hosts are on this machine.
func (r *Route) near() bool {
	hosts := r.Hosts()
	return len(hosts) > 0 && !slices.ContainsFunc(hosts, func(h string) bool {
		ap, err := netip.ParseAddrPort(h)
		return !strings.HasPrefix(h, "unix:") && (err != nil || !ap.Addr().IsLoopback())
	})
}

func (d *decoder) secured(key string, r Route) {
	if r.ImplicitTLS && r.TLS != "require" {
		d.complain(join(key, "implicit_tls"), `set tls = "require"`, "needs a certificate that is verified")
	}
	if r.TLS == "mta-sts" && !slices.Equal(r.To, []string{byMX}) {
		d.complain(join(key, "tls"), `set to = ["mx"], or another tls`, "policies are about mail exchangers, and to names hosts")
	}
	for option, value := range map[string]string{"ca": r.CA, "verify_name": r.VerifyName} {
		if value != "" && r.TLS != "require" {
			d.complain(join(key, option), `set tls = "require", or remove it`, `has an effect only with tls = "require"`)
		}
	}
	if r.VerifyName != "" {
		d.domain(join(key, "verify_name"), r.VerifyName)
	}
}
