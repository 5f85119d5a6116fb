package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/smimerelay/smimerelay/smime/address"
)

// validate notes what is wrong with values that have the right type.
func validate(c *Config, d *decoder) {
	d.files(reflect.ValueOf(c).Elem())
	d.notFolder("store.key_file", c.Store.KeyFile)
	d.notFolder("queue.path", c.Queue.Path)
	d.notFolder("auth.users_file", c.Auth.UsersFile)
	if !c.Store.Shared() {
		d.notFolder("store.url", c.Store.URL)
	}
	d.hostname(c.Hostname)
	for i, name := range c.Domains {
		d.domain(index("domains", i), strings.TrimPrefix(name, "."))
	}
	if strings.ContainsFunc(c.Delimiter, noDelimiter) {
		d.complain("recipient_delimiter", `write punctuation, such as "+" or "+-"`, "%q has characters that cannot separate an extension", c.Delimiter)
	}
	if c.Postmaster != "" {
		if _, err := address.Parse(c.Postmaster); err != nil {
			d.complain("postmaster", "write an address such as postmaster@example.com", "%v", err)
		}
	}
	if c.Admin.Address != "" {
		d.endpoint("admin.address", c.Admin.Address, "systemd")
	}
	d.tracing(c.Tracing)
	d.console(c.Console, c.Store)
	d.openID(c.OpenID, c.Console)
	if c.Inbound.BounceDomain != "" {
		d.domain("inbound.bounce_domain", c.Inbound.BounceDomain)
	}
	if c.Ask.Bounces != "" {
		d.domain("ask.bounce_domain", c.Ask.Bounces)
		if !slices.ContainsFunc(c.Listeners, func(l Listener) bool { return l.Direction != "outbound" }) {
			d.complain("ask.bounce_domain", `add a [[listener]] with direction = "inbound" or "auto"`, "no listener accepts the reports that come back")
		}
	}
	if c.Notices.Contact != "" && !isLine(c.Notices.Contact) {
		d.complain("notices.contact", "write one short line of ASCII, such as \"https://help.example.com/smime\"", "%q cannot stand in an SMTP reply", c.Notices.Contact)
	}
	d.mode("admin.socket_mode", c.Admin.SocketMode)
	if least := MemoryFactor * c.Limits.MessageSize; c.Limits.MessageMemory < least {
		d.complain("limits.message_memory", fmt.Sprintf("write at least %v, or a smaller limits.message_size", least), "is less than one message of message_size takes")
	}
	d.listeners(c)
	d.addresses(c)
	d.ownFiles(c)
	d.auth(c)
	d.endpoint("next_hop.address", c.NextHop.Address)
	if c.NextHop.Local != "" {
		d.endpoint("next_hop.local", c.NextHop.Local)
	}
	d.routes(c)
	for i, network := range c.Trust.FetchNetworks {
		d.network(index("trust.fetch_networks", i), network)
	}
	for i, e := range c.Exceptions {
		d.exception(index("exception", i), e)
	}
	if len(c.Queue.Retry) == 0 {
		d.complain("queue.retry", `write at least one wait, such as ["5m"]`, "is empty")
	}
	d.signFor(c)
	d.store(c.Store)
	d.expiry(c.Expiry)
	d.authority(c.CA)
	d.enrolments(c)
	d.est(c)
	d.publishing(c)
	d.directories(c.Directory)
	d.rules(c)
	d.inboundRules(c)
}

func (d *decoder) tracing(t Tracing) {
	if t.URL == "" {
		return
	}
	u, err := url.Parse(t.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		d.complain("tracing.url", `write one such as "http://127.0.0.1:4318/v1/traces"`, "%q is not an http or https address", t.URL)
	}
}

// noDelimiter tells characters of which addresses are made from those that may
// separate an extension. Only ASCII separates.
func noDelimiter(r rune) bool {
	return r <= ' ' || r >= 0x7f || r == '@' || r == '"' || r == '\\' ||
		'0' <= r && r <= '9' || 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z'
}

// maxContact keeps a reply with it within the line of RFC 5321 section 4.5.3.1.5.
const maxContact = 120

// isLine reports whether text can stand in an SMTP reply.
func isLine(text string) bool {
	return len(text) <= maxContact && !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' })
}

// signFor refuses what would change nothing.
func (d *decoder) signFor(c *Config) {
	aliases := slices.ContainsFunc(c.Directory, func(t Directory) bool { return t.Type == "ldap" && len(t.Aliases) > 0 })
	if c.Identities.SignFor == "mailbox" && c.Delimiter == "" && !aliases {
		d.complain("identities.sign_for", "set recipient_delimiter, or aliases of a [[directory]] of type ldap", `"mailbox" has no effect: nothing says which addresses are one mailbox`)
	}
}

func (d *decoder) hostname(name string) {
	if name == "" {
		return
	}
	_, err := address.Parse("x@" + name)
	if _, isAddress := netip.ParseAddr(name); err != nil || isAddress == nil || strings.HasPrefix(name, "[") {
		d.complain("hostname", "write a domain name such as gw.example.com", "%q is not a host name", name)
	}
}

func (d *decoder) domain(key, name string) {
	if _, err := address.Parse("x@" + name); err != nil {
		remedy := "write a domain such as example.com"
		if strings.HasSuffix(key, "]") && strings.ContainsAny(name, ", ;") {
			remedy += ", each as an item of its own: [\"a\", \"b\"]"
		}
		d.complain(key, remedy, "%q is not a domain", name)
	}
}

// files checks that what each path option names is there, and of the right sort.
func (d *decoder) files(v reflect.Value) {
	eachFile("", v, func(key string, tag reflect.StructTag, p reflect.Value) {
		d.file(key, tag.Get("path"), p.String())
	})
}

func (d *decoder) file(key, sort, path string) {
	if path == "" || sort == "new" || d.sent {
		return
	}
	f, err := os.Open(path)
	if err != nil {
		remedy := "check the path and who may read it"
		if noPath := notPath(path, sort); noPath != "" {
			remedy = noPath
		}
		d.complain(key, remedy, "%q: %s", path, reason(err))
		return
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() && sort == "file" {
		d.complain(key, "name a file in it", "%q is a folder", path)
	}
}

// notPath says what to do about what stands where a path is meant; "" if it may be one.
func notPath(path, sort string) string {
	switch {
	case strings.Contains(path, "-----BEGIN"):
		return "write this text into a file, and name the file"
	case strings.Contains(path, "://"):
		return "fetch it into a file, and name the file"
	case strings.ContainsAny(path, "*?") && sort == "file":
		return "name one file: patterns are not expanded"
	case strings.ContainsAny(path, "*?"):
		return "name the folder: patterns are not expanded"
	}
	return ""
}

// notFolder refuses a folder where a file is meant that need not be there yet.
func (d *decoder) notFolder(key, path string) {
	if d.sent || path == "" {
		return
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		d.complain(key, "name a file in it", "%q is a folder", path)
	}
}

func (d *decoder) exception(key string, e Exception) {
	if _, err := e.Fingerprint(); err != nil && e.SHA256 != "" {
		d.complain(join(key, "sha256"), "write the 64 hexadecimal digits that \"openssl x509 -fingerprint -sha256\" prints", "%q is not a SHA-256 fingerprint", e.SHA256)
	}
	if _, err := e.End(); err != nil {
		d.complain(join(key, "until"), "write a date such as 2027-01-31", "%q is not a date", e.Until)
	}
}

func (d *decoder) mode(key, text string) {
	if _, err := strconv.ParseUint(text, 8, 9); err != nil {
		d.complain(key, `write an octal number such as "0660"`, "%q is not a mode", text)
	}
}

func (d *decoder) network(key, text string) {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		remedy := `write a network such as "192.0.2.0/24" or "2001:db8::/32"`
		if addr, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
			remedy = fmt.Sprintf("write \"%s/%d\"", addr, addr.BitLen())
		}
		d.complain(key, remedy, "%q is not a network", text)
		return
	}
	if p != p.Masked() {
		d.complain(key, fmt.Sprintf("write %q", p.Masked()), "%q has bits set outside its mask", text)
	}
}

// seen maps a value to the key that has it.
type seen map[string]string

func (d *decoder) unique(key, value string, s seen) {
	if value == "" {
		return
	}
	if first, ok := s[value]; ok {
		d.complain(key, fmt.Sprintf("use a different value than line %d", d.source.line(first)), "%q is used twice", value)
		return
	}
	s[value] = key
}

func index(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }
