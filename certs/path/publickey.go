package path

import (
	"crypto"
	"crypto/x509"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/pkix"
)

// checkKey judges the key of c for verification.
func (v *Validator) checkKey(c *x509.Certificate, key crypto.PublicKey) *certs.Problem {
	if key == nil {
		return certs.Refuse(certs.UnsupportedKey, c, "its kind of key, %s, is not supported", pkix.KeyName(c))
	}
	low := pkix.MinRSA
	if v.cfg.AllowRSA1024 {
		low = pkix.MinRSAArchive
	}
	if p := pkix.CheckKey(key, low); p != nil {
		return certs.Refuse(certs.KeyReason(p.Weak, p.NotApproved), c, "%v", p)
	}
	return nil
}
