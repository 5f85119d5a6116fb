package service

import (
	"time"

	"github.com/smimerelay/smimerelay/internal/config"
)

// soon is how long before its end an identity is warned of.
const soon = 30 * 24 * time.Hour

// Warnings are what is allowed and probably not meant.
func (p *Parts) Warnings(now time.Time) config.Problems {
	var ws config.Problems
	c := p.Config
	warn := func(bad bool, key, text, remedy string) {
		if bad {
			ws = append(ws, c.Problem(key, text, remedy))
		}
	}
	warn(p.Anchors == 0, "trust.anchors", "there is no trust anchor: no certificate is believed",
		"name the authorities of your partners")
	warn(c.Trust.Revocation == "require" && !c.Trust.Fetch && len(c.Trust.CRLs) == 0, "trust.revocation",
		"no revocation status can be known: nothing is encrypted, nothing passes", `set fetch = true, name crls, or write "prefer"`)
	warn(len(p.Keys.Identities()) == 0, "identities.path", "there is no identity: nothing can be signed or decrypted",
		"name a folder with PKCS #12 or PEM files")
	first := p.NextExpiry(now)
	warn(!first.IsZero() && first.Sub(now) < soon, "identities.path",
		"an identity expires on "+first.UTC().Format(time.DateOnly), "renew it")
	return ws.InOrder()
}

// NextExpiry returns when the first identity that is still valid ends; zero
// when there is none.
func (p *Parts) NextExpiry(now time.Time) time.Time {
	var first time.Time
	for _, id := range p.Keys.Identities() {
		end := id.Certificate.NotAfter
		if end.After(now) && (first.IsZero() || end.Before(first)) {
			first = end
		}
	}
	return first
}
