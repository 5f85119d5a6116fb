package service

import (
	"os"
	"path/filepath"

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
	helper := b.tokenHelper()
	for i, uri := range uris {
		keys, err := token.Open(token.Config{
			Token: uri, Helper: helper, Certificates: beside, LocalPart: b.localPart(),
			Clock: b.clock, Log: b.log, Count: b.countToken,
		})
		if err != nil {
			b.complain(key("identities.tokens", i, ""), err.Error(), "")
			continue
		}
		b.parts.tokens = append(b.parts.tokens, keys)
	}
}

// tokenHelper returns the program that uses the tokens: the one that the configuration
// names, or the one in the folder of this program.
func (b *builder) tokenHelper() string {
	if named := b.config.Identities.TokenHelper; named != "" {
		return named
	}
	self, err := os.Executable()
	if err != nil {
		return "smimerelay-token"
	}
	return filepath.Join(filepath.Dir(self), "smimerelay-token")
}
