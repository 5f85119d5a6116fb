package directory

import (
	"crypto/x509"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
)

func TestReasonIsForPeople(t *testing.T) {
	t.Parallel()
	day := func(s string) time.Time {
		d, err := time.Parse(time.DateOnly, s)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	cert := &x509.Certificate{NotBefore: day("2026-02-01"), NotAfter: day("2026-03-01")}
	issuer := &x509.Certificate{NotAfter: day("2026-01-05")}
	refused := func(reason certs.Reason, chain ...*x509.Certificate) Candidate {
		return Candidate{Certificate: cert, Verdict: certs.Verdict{Result: certs.Fail, Reason: reason, Chain: chain}}
	}
	unknown := Candidate{Certificate: cert, Verdict: certs.Verdict{Result: certs.TempError, Reason: certs.RevocationUnknown}}
	ldap, files := Answer{Source: "ldap:corp"}, Answer{Source: "files:partners"}
	down := Answer{Source: "ldap:corp", Err: errDown}
	for want, r := range map[string]Result{
		"": {Outcome: Usable, Answers: []Answer{ldap}},
		"no directory is configured for this domain":        {Outcome: None},
		"no certificate found in ldap:corp":                 {Outcome: None, Answers: []Answer{ldap}},
		"no certificate found in ldap:corp, files:partners": {Outcome: None, Answers: []Answer{ldap, files}},
		"a group in ldap:corp, without a certificate":       {Outcome: None, Answers: []Answer{ldap}, Group: "ldap:corp"},
		"expired 2026-03-01":                                {Outcome: None, Candidates: []Candidate{refused(certs.Expired, cert)}},
		"its issuer expired 2026-01-05":                     {Outcome: None, Candidates: []Candidate{refused(certs.Expired, cert, issuer)}},
		"not valid before 2026-02-01":                       {Outcome: None, Candidates: []Candidate{refused(certs.NotYetValid)}},
		"revoked, not for encryption": {Outcome: None, Candidates: []Candidate{
			refused(certs.Revoked), refused(certs.WrongPurpose), refused(certs.Revoked),
		}},
		"revoked, weak key, weak signature, and more": {Outcome: None, Candidates: []Candidate{
			refused(certs.Revoked), refused(certs.WeakKey), refused(certs.WeakSignature), refused(certs.Expired),
		}},
		"no revocation information (set revocation for its anchor or name crls)": {Outcome: None, Candidates: []Candidate{refused(certs.NoRevocationInfo)}},
		"some new reason":           {Outcome: None, Candidates: []Candidate{refused("some-new-reason")}},
		"ldap:corp is unavailable":  {Outcome: Unknown, Answers: []Answer{down, files}},
		"revocation status unknown": {Outcome: Unknown, Answers: []Answer{ldap}, Candidates: []Candidate{unknown, refused(certs.Expired)}},
	} {
		if got := r.Reason(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
