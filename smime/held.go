package smime

import (
	"context"
	"crypto/x509"
	"errors"

	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// SignerLookup finds certificates of a signer that a message does not bring (RFC
// 8550 section 2.3): among what is known of the author, who may be the null
// address where the message has not exactly one. Others than the signer's do no
// harm. An error means that this is not known now.
type SignerLookup func(ctx context.Context, signer cms.ID, author address.Address) ([]*x509.Certificate, error)

// maxHeld limits the lookups that one message can cause.
const maxHeld = 4

// lookUp finds the certificates that were missing for results, and reports
// whether there are any.
func (w *walker) lookUp(s *signature, results []cms.SignerResult) bool {
	if w.options.Signers == nil {
		return false
	}
	from, err := author(w.given)
	if err != nil {
		from = address.Null
	}
	for _, r := range results {
		if !errors.Is(r.Err, cms.ErrNoCertificate) && !errors.Is(r.Err, cms.ErrCertificate) {
			continue
		}
		if w.lookups++; w.lookups > maxHeld {
			break
		}
		found, err := w.options.Signers(w.ctx, r.ID, from)
		if err != nil {
			w.heldOut = err
		}
		for _, cert := range found {
			if r.ID.Matches(cert) {
				s.held = append(s.held, cert)
			}
		}
	}
	return len(s.held) > 0
}
