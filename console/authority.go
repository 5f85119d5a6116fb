package console

import (
	"slices"
	"strings"

	"github.com/smimerelay/smimerelay/certs/describe"
	"github.com/smimerelay/smimerelay/console/api"
)

// certificateView is a certificate, with the reasons for which it can be revoked.
type certificateView struct {
	describe.Certificate
	Reasons []string
}

// issueIdentity has the built-in CA issue for an address, by what the configuration says of keys
// and validity.
func issueIdentity(v *visit) error {
	in := &api.IssueRequest{}
	in.Body.Address, in.Body.Again = strings.TrimSpace(v.r.PostFormValue("address")), v.r.PostFormValue("again") != ""
	found, err := v.Operations.IssueIdentity(v.r.Context(), in)
	if err != nil {
		return err
	}
	return v.backTo(api.Fingerprint{SHA256: found.Body.Items[0].SHA256})
}

func revokeCertificate(v *visit) error {
	in := &api.Revocation{Fingerprint: v.fingerprint()}
	in.Body.Reason = v.r.PostFormValue("reason")
	if !slices.Contains(api.RevocationReasons(), in.Body.Reason) {
		return errBadForm
	}
	if _, err := v.Operations.RevokeCertificate(v.r.Context(), in); err != nil {
		return err
	}
	return v.backTo(in.Fingerprint)
}
