package directory

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/smime/address"
)

// maxReasons is how many different reasons are named in one line.
const maxReasons = 3

// maxNames is how many addresses of a certificate are named.
const maxNames = 2

// phrases are the reasons as a sender reads them, after "certificate:".
var phrases = map[certs.Reason]string{
	certs.Untrusted:         "not issued by a trusted authority",
	certs.Revoked:           "revoked",
	certs.RevocationUnknown: "revocation status unknown",
	certs.NoRevocationInfo:  "no revocation information (set revocation for its anchor or name crls)",
	certs.WrongPurpose:      "not for encryption",
	certs.WeakKey:           "weak key",
	certs.WeakSignature:     "weak signature",
	certs.NameConstraint:    "name not permitted by its issuer",
}

// Reason says in words a sender understands why the outcome is not Usable:
// "expired 2026-03-01", "no certificate found in ldap:corp". It holds no
// private cause and fits an SMTP reply. It is "" when Usable.
func (r Result) Reason() string {
	var reasons []string
	switch r.Outcome {
	case Usable:
		return ""
	case Unknown:
		reasons = r.unknowns()
	default:
		reasons = r.refusals()
	}
	if len(reasons) > maxReasons {
		reasons = append(reasons[:maxReasons], "and more")
	}
	return strings.Join(reasons, ", ")
}

func (r Result) unknowns() []string {
	var reasons []string
	for _, a := range r.Answers {
		if a.Err != nil {
			reasons = addOnce(reasons, a.Source+" "+failure(a.Err))
		}
	}
	for _, c := range r.Candidates {
		if c.Verdict.Result == certs.TempError {
			reasons = addOnce(reasons, describe(c))
		}
	}
	return reasons
}

func (r Result) refusals() []string {
	var reasons []string
	for _, c := range r.Candidates {
		reasons = addOnce(reasons, describe(c))
	}
	if len(reasons) > 0 {
		return reasons
	}
	if r.Group != "" {
		return []string{"a group in " + r.Group + ", without a certificate"}
	}
	if len(r.Answers) == 0 {
		return []string{"no directory is configured for this domain"}
	}
	var names []string
	for _, a := range r.Answers {
		names = addOnce(names, a.Source)
	}
	return []string{"no certificate found in " + strings.Join(names, ", ")}
}

func addOnce(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// describe says why one candidate was refused.
func describe(c Candidate) string {
	switch reason := c.Verdict.Reason; reason {
	case certs.Expired:
		return expired(c)
	case certs.WrongAddress:
		return "issued for " + named(c) + ", not for " + short(c.Address)
	case certs.NotYetValid:
		return "not valid before " + c.Certificate.NotBefore.UTC().Format(time.DateOnly)
	case "":
		return "could not be checked"
	default:
		if phrase, ok := phrases[reason]; ok {
			return phrase
		}
		return strings.ReplaceAll(string(reason), "-", " ")
	}
}

// named lists the addresses in a certificate: who can see both can tell a mistyped
// address from a person with several.
func named(c Candidate) string {
	list := certs.Addresses(c.Certificate)
	if len(list) == 0 {
		return "no mail address"
	}
	var names []string
	for _, a := range list[:min(len(list), maxNames)] {
		names = append(names, short(a))
	}
	if len(list) > maxNames {
		names = append(names, "others")
	}
	return strings.Join(names, " and ")
}

// short writes an address for a line that must stay short: strangers write the
// names in certificates.
func short(a address.Address) string { return fmt.Sprintf("%.80q", a.String()) }

// expired names the certificate of the chain that ended first.
func expired(c Candidate) string {
	end, who := c.Certificate.NotAfter, "expired "
	for _, issuer := range c.Verdict.Chain {
		if issuer.NotAfter.Before(end) {
			end, who = issuer.NotAfter, "its issuer expired "
		}
	}
	return who + end.UTC().Format(time.DateOnly)
}
