package service

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/internal/pkix"
)

// soon is how long before its end an identity is warned of where the
// configuration has no longer time.
const soon = 30 * 24 * time.Hour

// Within is the longest time before expiry at which identities are reported.
func Within(c *config.Config) time.Duration {
	if len(c.Expiry.WarnBefore) == 0 {
		return soon
	}
	return slices.Max(c.Expiry.WarnBefore)
}

// Warnings are what is allowed and probably not meant.
func (p *Parts) Warnings(h Holdings, now time.Time) config.Problems {
	ws := slices.Clone(p.skipped)
	c := p.Config
	warn := func(bad bool, key, text, remedy string) {
		if bad {
			ws = append(ws, c.Problem(key, text, remedy))
		}
	}
	warn(p.Anchors == 0, "trust.anchors", "there is no trust anchor: no certificate is trusted",
		"add the CA certificates of your partners")
	warn(p.outdatedRoots, "trust.public", "the list of public authorities is older than a year: some may not be trusted any more",
		"update smimerelay, or make a newer list with smimerelay trust update")
	blind := c.Trust.Revocation == "require" && !c.Trust.Fetch && len(c.Trust.CRLs) == 0 && len(c.Trust.Anchor) == 0
	warn(blind, "trust.revocation",
		"no revocation information is available: nothing can be encrypted, and no signature passes", `set fetch = true, name crls, or write "prefer"`)
	if !blind {
		ws = append(ws, p.uninformed()...)
	}
	warn(c.CA.URL != "" && p.authorities == nil, "ca.url", "there is no CA yet: nothing can be issued", "create it with smimerelay ca init")
	if h.Count == 0 {
		warn(true, "identities.path", "there is no identity: nothing can be signed or decrypted",
			"import one with smimerelay cert import, issue one with smimerelay cert issue, have them ordered by [[enrolment]], or name a folder with PKCS #12 or PEM files")
	} else {
		ws = append(ws, p.unsigned(h)...)
	}
	for i, t := range p.tokens {
		if err := t.Err(); err != nil {
			warn(true, key("identities.tokens", i, ""), err.Error(), "mail that needs its keys is deferred until it is available")
		}
	}
	if len(h.Expiring) > 0 {
		warn(true, "expiry", "identity expires on "+h.Expiring[0].Certificate.NotAfter.UTC().Format(time.DateOnly), "renew it; list all with smimerelay cert expiring")
	}
	warn(p.asksUnsigned(), "ask.from", fmt.Sprintf("there is no identity of %s to sign questions with: no recipient is asked for a certificate", p.Gateway.Ask.From),
		"import one, or name an address that has one")
	warn(p.answersUnsigned(), "mail_commands.address", fmt.Sprintf("there is no identity of %s to sign answers with: mail commands are deferred", p.Gateway.Commands.Address),
		"import one, or have one issued: smimerelay cert issue "+p.Gateway.Commands.Address.String())
	for _, o := range h.Revoked {
		sum := sha256.Sum256(o.Certificate.Raw)
		warn(true, "trust.crls", fmt.Sprintf("the %s has the identity %x (%s), which is revoked and still signs", o.Place, sum[:8], pkix.SubjectString(o.Certificate)),
			"replace it; smimerelay cert block stops one in the store from signing")
	}
	ws = append(ws, p.unfit(h.Unfit)...)
	warn(!strings.Contains(p.Gateway.Hostname, "."), "hostname", fmt.Sprintf("%q has no domain: other hosts may refuse it in EHLO", p.Gateway.Hostname),
		"write the full name, such as gw.example.com")
	ws = append(ws, p.outdated(now)...)
	reader := serviceReader(c, os.Getuid(), serviceUser)
	ws = append(ws, exposed(c, now, reader)...)
	if reader != nil && !hasCapability(unitOverrides) {
		ws = append(ws, privileged(c, firstFree())...)
	}
	ws = append(ws, unmet(c)...)
	ws = append(ws, reachable(c)...)
	ws = append(ws, p.unlistenable()...)
	if !c.IsTrial() {
		ws = append(ws, placeholders(c)...)
	}
	ws = append(ws, oddPorts(c)...)
	ws = append(ws, sharedFiles(c)...)
	ws = append(ws, expiredExceptions(c, now)...)
	return ws.InOrder()
}

// uninformed warns of authorities below which everything is refused because
// there is no revocation information.
func (p *Parts) uninformed() config.Problems {
	var ws config.Problems
	for _, a := range p.Validator.Uninformed() {
		ws = append(ws, p.Config.Problem("trust.revocation",
			fmt.Sprintf("no certificate below %q can pass: there is neither a CRL nor an OCSP responder", pkix.SubjectString(a)),
			"set revocation for this trust anchor in [[trust.anchor]], or add its CRL to trust.crls"))
	}
	return ws
}

// Survey is Holdings at a time, with what ends within the configured time, and what is
// revoked.
func (p *Parts) Survey(ctx context.Context, now time.Time) (Holdings, error) {
	h, err := p.Holdings(ctx, now, Within(p.Config))
	if err == nil {
		h.Revoked, err = p.revoked(ctx)
	}
	return h, err
}
