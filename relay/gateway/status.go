package gateway

import (
	"fmt"
	"slices"
	"strings"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/message"
)

// The fields that inbound mail is stamped with.
const (
	resultsField = "Authentication-Results" // RFC 8601
	statusField  = "X-SMIME-Status"
)

// statusFields returns the two fields that say what was found.
func statusFields(hostname string, o *opened) ([]message.Field, error) {
	results, err := message.NewField(resultsField, authenticationResults(hostname, &o.Report))
	if err != nil {
		return nil, err
	}
	status, err := message.NewField(statusField, status(o))
	if err != nil {
		return nil, err
	}
	return []message.Field{results, status}, nil
}

// authenticationResults returns one result of the method smime (RFC 7281
// section 2). With several signers it is the one that the verdict rests on: a
// reader who looks for any "pass" must not find one beside a failure.
func authenticationResults(hostname string, r *smime.Report) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s; smime=%s", hostname, word(r.Result))
	s := deciding(r)
	if s == nil {
		if r.Reason != "" {
			b.WriteString(" (" + comment(string(r.Reason)) + ")")
		}
		return b.String()
	}
	remarks := []string{s.Digest, string(s.Signature), "chain " + s.Chain}
	if r.Reason != "" && tells(r) {
		remarks = append(remarks, string(r.Reason))
	}
	remarks = slices.DeleteFunc(remarks, func(s string) bool { return s == "" })
	b.WriteString(" (" + comment(strings.Join(remarks, ", ")) + ")")
	if len(s.Addresses) > 0 {
		b.WriteString(" body.smime-identifier=" + value(s.Addresses[0]))
	}
	// RFC 7281 section 3.2.2: serial and issuer stand together.
	if s.Serial != "" && s.Issuer != "" {
		b.WriteString(" body.smime-serial=" + value(strings.ToUpper(s.Serial)))
		b.WriteString(" body.smime-issuer=" + quotedString(s.Issuer))
	}
	if s.DomainSigner != "" && r.Result == certs.Pass {
		// RFC 8601 section 2.4: what local policy decided by.
		b.WriteString(" policy.signer=" + value(s.DomainSigner))
	}
	return b.String()
}

// tells reports whether the status gives the reason of a report: always where it did
// not pass, and where it passed by an agreement.
func tells(r *smime.Report) bool {
	return r.Result != certs.Pass || r.Reason == smime.ReasonDomainSignature
}

// status returns the value of X-SMIME-Status.
func status(o *opened) string {
	r := &o.Report
	parts := []string{word(r.Result), "signed=" + yes(isSignedReport(r))}
	parts = append(parts, "encrypted="+yes(r.Encryption != nil || o.encrypted))
	if o.encrypted {
		parts = append(parts, "decrypted=no")
	}
	if s := deciding(r); s != nil {
		if len(s.Addresses) > 0 {
			parts = append(parts, "signer="+value(s.Addresses[0]))
		}
		parts = append(parts, "chain="+value(or(s.Chain, "unchecked")), "revocation="+value(or(s.Revocation, "unchecked")))
	}
	if r.Reason != "" && tells(r) {
		parts = append(parts, "reason="+value(string(r.Reason)))
	}
	return strings.Join(parts, "; ")
}

// deciding returns the signer whose result is the message's, else the first.
func deciding(r *smime.Report) *smime.Signer {
	for i := range r.Signers {
		if r.Signers[i].Result == r.Result {
			return &r.Signers[i]
		}
	}
	if len(r.Signers) > 0 {
		return &r.Signers[0]
	}
	return nil
}

// word is the result, or "permerror" for what is no word of RFC 7281.
func word(r certs.Result) string {
	switch r {
	case certs.None, certs.Pass, certs.Fail, certs.PolicyNo, certs.Neutral, certs.TempError, certs.PermError:
		return string(r)
	}
	return string(certs.PermError)
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// ascii makes a line of printable ASCII of what a certificate says.
func ascii(s string) string {
	const enough = 400
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
	return s[:min(len(s), enough)]
}

// comment is the inside of a comment (RFC 5322 section 3.2.2).
func comment(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '(' || r == ')' || r == '\\' {
			return ' '
		}
		return r
	}, ascii(s))
}

// value is the pvalue of RFC 8601 section 2.2: as it is where it may be, else
// quoted. An address whose local part needs quotes is quoted as a whole.
func value(s string) string {
	plain := func(c rune) bool {
		return c > ' ' && c <= '~' && !strings.ContainsRune("()<>,;:\\\"/[]?=", c)
	}
	if s != "" && !strings.ContainsFunc(s, func(c rune) bool { return !plain(c) }) {
		return s
	}
	return quotedString(s)
}

func quotedString(s string) string {
	return `"` + quotedPairs.Replace(ascii(s)) + `"`
}

var quotedPairs = strings.NewReplacer(`\`, `\\`, `"`, `\"`)
