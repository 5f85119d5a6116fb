package service

import (
	"fmt"
	"slices"

	"github.com/go-ldap/ldap/v3"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/config"
)

// publishListener is the name of the listener of a [[publish]]. No listener of the
// configuration needs one like it.
func publishListener(name string) string { return "[publish:" + name + "]" }

// publishSpecs returns the listeners of [[publish]].
func publishSpecs(c *config.Config) []listenerSpec {
	var list []listenerSpec
	for _, p := range c.Publish {
		if p.Address == "" {
			continue // it serves no clients
		}
		mode := "implicit"
		switch {
		case p.TLSCert == "":
			mode = tlsOff
		case p.StartTLS:
			mode = "starttls"
		}
		list = append(list, listenerSpec{name: publishListener(p.Name), protocol: "publish-" + p.To, address: p.Address, mode: p.SocketMode, tls: mode})
	}
	return list
}

// publishes compiles whose certificates each table is for.
func (b *builder) publishes() {
	b.parts.publishes = map[string]*enforce.Patterns{}
	for i, p := range b.config.Publish {
		if _, err := ldap.ParseDN(p.Base); err != nil || p.Base == "" {
			b.complain(key("publish", i, "base"), fmt.Sprintf("%q is not a distinguished name", p.Base), `write one such as "ou=certificates"`)
		}
		patterns := b.patterns(key("publish", i, "addresses"), p.Addresses)
		if patterns == nil {
			var err error
			if patterns, err = enforce.CompilePatterns(b.domains()); err != nil {
				return // the gateway says so
			}
		}
		b.parts.publishes[p.Name] = patterns
	}
}

// certificatesPublish reads what the servers of [[publish]] show to clients.
func (b *builder) certificatesPublish() {
	for i, p := range b.config.Publish {
		at := key("publish", i, "tls_certificate")
		if p.TLSCert == "" || p.TLSKey == "" || b.isKnown(at) || b.isKnown(key("publish", i, "tls_key")) {
			continue
		}
		f := &certificateFile{certificate: p.TLSCert, key: p.TLSKey, log: b.log}
		if err := f.read(); err != nil {
			b.complain(at, err.Error(), pairRemedy(err))
			continue
		}
		b.parts.tls[publishListener(p.Name)] = &listenerTLS{shown: []*certificateFile{f}}
	}
}

// publishTable returns the table behind a listener, as it is now; nil when it is gone.
func publishTable(c *config.Config, listener string) *config.Publish {
	i := slices.IndexFunc(c.Publish, func(p config.Publish) bool { return publishListener(p.Name) == listener })
	if i < 0 {
		return nil
	}
	return &c.Publish[i]
}
