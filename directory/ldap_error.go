package directory

import (
	"crypto/tls"
	"errors"
	"fmt"

	"github.com/go-ldap/ldap/v3"
)

// refusals are the answers of an LDAP server (RFC 4511 appendix A) that say that
// the configuration is wrong: in words for a client, and what to do.
var refusals = map[uint16]struct{ word, remedy string }{
	ldap.LDAPResultInvalidCredentials:          {"refused the gateway's login", "check bind_dn and password_file"},
	ldap.LDAPResultInappropriateAuthentication: {"refused the gateway's login", "check bind_dn and password_file"},
	ldap.LDAPResultInsufficientAccessRights:    {"refused the search", "check the rights of bind_dn"},
	ldap.LDAPResultNoSuchObject:                {"does not have the configured base", "check base"},
	ldap.LDAPResultInvalidDNSyntax:             {"does not understand the configured names", "check base and bind_dn"},
	ldap.LDAPResultConfidentialityRequired:     {"wants TLS", "use ldaps:// or start_tls"},
	ldap.LDAPResultStrongAuthRequired:          {"wants TLS or a stronger login", "use ldaps:// or start_tls"},
}

// notVerified is how a server is called whose TLS certificate is not accepted.
const notVerified = "has a TLS certificate that cannot be verified"

// failure says in a few words, for a client, why a lookup failed: a server that
// refuses has answered.
func failure(err error) string {
	if tlsError(err) {
		return notVerified
	}
	if e, ok := errors.AsType[*ldap.Error](err); ok {
		if r, ok := refusals[e.ResultCode]; ok {
			return r.word
		}
	}
	return "did not answer"
}

// withRemedy adds to an error of LDAP what to do about it, for the administrator.
func withRemedy(err error) error {
	if tlsError(err) {
		return fmt.Errorf("%w; the name in the url must be in the server's certificate, and its authority in ca", err)
	}
	if e, ok := errors.AsType[*ldap.Error](err); ok {
		if r, ok := refusals[e.ResultCode]; ok {
			return fmt.Errorf("%w; %s", err, r.remedy)
		}
	}
	return err
}

func tlsError(err error) bool {
	if e, ok := errors.AsType[*ldap.Error](err); ok && e.Err != nil {
		err = e.Err
	}
	_, ok := errors.AsType[*tls.CertificateVerificationError](err)
	return ok
}
