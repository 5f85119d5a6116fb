package gateway

import (
	"slices"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// preferred are the content ciphers that "auto" chooses from, best first.
var preferred = []cms.Cipher{cms.AES256GCM, cms.AES128GCM, cms.AES256CBC, cms.AES128CBC}

// presumed are read by everybody of whom nothing is known: RFC 8551 section
// 2.7.1.2 would have AES-256-GCM, which GnuPG 2.2 and NSS cannot read.
var presumed = []cms.Cipher{cms.AES256CBC, cms.AES128CBC}

// cipher returns the content cipher for a copy, and why it is this one. With
// "auto" it is the best that every reader claims to understand (RFC 8551 section
// 2.7.1.1).
func (e *evidence) cipher(p Profile, s enforce.Encrypt) (c cms.Cipher, why string) {
	if p.Cipher != "" && p.Cipher != "auto" {
		return cms.Cipher(p.Cipher), "the profile names it"
	}
	reads := func(c cms.Cipher) bool {
		return !slices.ContainsFunc(s.Certificates, func(fp enforce.Fingerprint) bool {
			claimed := e.ciphers[fp]
			if len(claimed) == 0 {
				claimed = presumed
			}
			return !slices.Contains(claimed, c)
		})
	}
	if i := slices.IndexFunc(preferred, reads); i >= 0 {
		c := preferred[i]
		if c.Authenticated() {
			return c, "every reader claims to understand it"
		}
		return c, "the best that every reader is known or presumed to understand"
	}
	return presumed[0], "the readers have nothing in common, and most understand this one"
}
