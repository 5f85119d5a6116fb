package directory

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/go-ldap/ldap/v3"
)

// TestErrorsAreNamedAsWhatTheyAre wants the word for a client, and the remedy for
// the administrator beside the library's own text.
func TestErrorsAreNamedAsWhatTheyAre(t *testing.T) {
	verification := &tls.CertificateVerificationError{Err: x509.HostnameError{Host: "dc1", Certificate: &x509.Certificate{}}}
	for _, c := range []struct {
		err          error
		word, remedy string
	}{
		{ldap.NewError(49, errors.New("data 52e")), "rejected the bind", "bind_dn"},
		{ldap.NewError(32, errors.New("no such object")), "has no entry with the configured base", "check base"},
		{ldap.NewError(50, errors.New("no")), "refused the search", "rights"},
		{ldap.NewError(13, errors.New("TLS")), "wants TLS", "start_tls"},
		{ldap.NewError(ldap.ErrorNetwork, verification), "has a TLS certificate that cannot be verified", "ca"},
		{verification, "has a TLS certificate that cannot be verified", "ca"},
		{ldap.NewError(ldap.ErrorNetwork, errors.New("connection refused")), "is unavailable", ""},
		{errors.New("connection refused"), "is unavailable", ""},
	} {
		err := errors.Join(errNoServer, fmt.Errorf("ldaps://dc1: %w", c.err))
		if got := failure(err); got != c.word {
			t.Errorf("failure(%v) = %q, want %q", c.err, got, c.word)
		}
		if got := withRemedy(c.err).Error(); !strings.Contains(got, c.err.Error()) || !strings.Contains(got, c.remedy) {
			t.Errorf("withRemedy(%v) = %q", c.err, got)
		}
	}
}
