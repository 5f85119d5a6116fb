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
	ldap.LDAPResultInvalidCredentials:          {"rejected the bind", "check bind_dn and password_file"},
	ldap.LDAPResultInappropriateAuthentication: {"rejected the bind", "check bind_dn and password_file"},
	ldap.LDAPResultInsufficientAccessRights:    {"refused the search", "check the rights of bind_dn"},
	ldap.LDAPResultNoSuchObject:                {"has no entry with the configured base", "check base"},
	ldap.LDAPResultInvalidDNSyntax:             {"rejected the configured DNs as invalid", "check base and bind_dn"},
	ldap.LDAPResultConfidentialityRequired:     {"wants TLS", "use ldaps:// or start_tls"},
	ldap.LDAPResultStrongAuthRequired:          {"requires TLS or stronger authentication", "use ldaps:// or start_tls"},
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
	return "is unavailable"
}

// withRemedy adds to an error of LDAP what to do about it, for the administrator.
func withRemedy(err error) error {
	if tlsError(err) {
		return fmt.Errorf("%w; the server certificate must contain the name in the url, and ca its CA certificate", err)
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
