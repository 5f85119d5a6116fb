package gateway

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"

	"github.com/smimerelay/smimerelay/directory"
	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/smime"
)

// kinds are the kinds of keys that the profile allows.
func (p Profile) kinds() smime.KeyKinds { return smime.KeyKinds(strings.Join(p.Keys, " ")) }

// usable is the result of a lookup with the certificates that the profile encrypts to.
// Where none is left the recipient is without a certificate, unless a source did not
// answer.
func (p Profile) usable(r directory.Result) directory.Result {
	if r.Outcome != directory.Usable {
		return r
	}
	r.Certificates = slices.DeleteFunc(slices.Clone(r.Certificates), func(c *x509.Certificate) bool { return p.Minimum().Key(c) != "" })
	if !p.Hybrid {
		r.Certificates = smime.PostQuantum(r.Certificates)
	}
	if len(r.Certificates) == 0 {
		r.Outcome = directory.None
		if slices.ContainsFunc(r.Answers, func(a directory.Answer) bool { return a.Err != nil }) {
			r.Outcome = directory.Unknown
		}
	}
	return r
}

// refusal says why the profile encrypts to none of the certificates of a result.
func (p Profile) refusal(r directory.Result) string {
	c := r.Certificates[0]
	return fmt.Sprintf("certificate of %q: %s", pkix.Label(c), p.Minimum().Key(c))
}

// permitted refuses a copy with a key that its profile does not allow, where something
// else than the profile chose it: the identity that signs, and the certificates that a
// rule adds to those of the recipients.
func (g *Gateway) permitted(e *evidence, c enforce.Copy) error {
	if c.Sign != nil {
		if id := e.identities[c.Sign.Identity]; id != nil {
			if err := g.Profiles[c.Sign.Profile].permits(c.Sign.Profile, fault.Identity, id.Certificate); err != nil {
				return err
			}
		}
	}
	if c.Encrypt != nil {
		for _, fp := range c.Encrypt.Certificates {
			if cert := e.certificates[fp]; cert != nil {
				if err := g.Profiles[c.Encrypt.Profile].permits(c.Encrypt.Profile, fault.Policy, cert); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// permits refuses a certificate whose key the profile does not allow.
func (p Profile) permits(name string, kind fault.Kind, c *x509.Certificate) error {
	if why := p.Minimum().Key(c); why != "" {
		return fault.New(kind, fmt.Sprintf("the profile %q does not allow the certificate of %q: %s", name, pkix.Label(c), why), nil)
	}
	return nil
}
