package directory

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
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
		{ldap.NewError(1, errors.New("a successful bind must be completed")), "refused the search", "set bind_dn"},
		{ldap.NewError(2, errors.New("unsupported extended operation")), "does not support the request", "StartTLS"},
		{ldap.NewError(3, errors.New("x")), "exceeded a limit of the server", "index"},
		{ldap.NewError(4, errors.New("x")), "has more entries than the server returns", "filter"},
		{ldap.NewError(10, errors.New("x")), "does not hold the configured base", "referrals are not followed"},
		{ldap.NewError(11, errors.New("x")), "exceeded a limit of the server", "index"},
		{ldap.NewError(17, errors.New("x")), "does not know an attribute of the search", "filter"},
		{ldap.NewError(18, errors.New("x")), "cannot search for an attribute of the filter", "filter"},
		{ldap.NewError(53, errors.New("x")), "refused the request", "bind_dn"},
		{ldap.NewError(80, errors.New("x")), "answers with LDAP result code 80", ""},
		{ldap.NewError(51, errors.New("x")), "is unavailable", ""},
		{ldap.NewError(52, errors.New("x")), "is unavailable", ""},
		{ldap.NewError(81, errors.New("x")), "is unavailable", ""},
		{ldap.NewError(ldap.ErrorNetwork, &net.OpError{Op: "remote error", Err: tls.AlertError(116)}), "does not accept the TLS connection", "client_certificate"},
		{tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}, "does not accept the TLS connection", "port"},
		{ldap.NewError(ldap.ErrorNetwork, verification), "has a TLS certificate that cannot be verified", "ca"},
		{verification, "has a TLS certificate that cannot be verified", "ca"},
		{ldap.NewError(ldap.ErrorNetwork, errors.New("connection refused")), "is unavailable", ""},
		{errors.New("connection refused"), "is unavailable", ""},
	} {
		err := errors.Join(errNoServer, fmt.Errorf("ldaps://dc1: %w", c.err))
		if got := failure(err); got != c.word {
			t.Errorf("failure(%v) = %q, want %q", c.err, got, c.word)
		}
		if got := withRemedy(ldap.NewError(32, errors.New(""))).Error(); strings.Contains(got, ": ;") {
			t.Errorf("withRemedy of an empty text: %q", got)
		}
		if got := withRemedy(c.err).Error(); !strings.Contains(got, c.err.Error()) || !strings.Contains(got, c.remedy) {
			t.Errorf("withRemedy(%v) = %q", c.err, got)
		}
	}
}
