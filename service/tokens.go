package service

import (
	"github.com/smimerelay/smimerelay/certs/file"
	"github.com/smimerelay/smimerelay/certs/token"
)

// openTokens opens the tokens of the configuration. One that does not answer is
// no problem of the configuration: what needs its keys waits for it.
func (b *builder) openTokens() {
	uris := b.config.Identities.Tokens
	if len(uris) == 0 || b.isKnown("identities") {
		return
	}
	// What of this cannot be read, openIdentities has complained of, or a key
	// will lack it.
	beside, _ := file.ReadCertificates(b.config.Identities.Path)
	for i, uri := range uris {
		keys, err := token.Open(token.Config{
			URI: uri, Certificates: beside, LocalPart: b.localPart(), Clock: b.clock, Log: b.log,
		})
		if err != nil {
			b.complain(key("identities.tokens", i, ""), err.Error(), "")
			continue
		}
		b.parts.tokens = append(b.parts.tokens, keys)
	}
}
