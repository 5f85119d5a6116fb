package directory

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// refusals are the answers of an LDAP server (RFC 4511 appendix A) that say that
// the configuration is wrong: in words for a client, and what to do.
var refusals = map[uint16]struct{ word, remedy string }{
	ldap.LDAPResultInvalidCredentials:          {"rejected the bind", "check bind_dn and password_file"},
	ldap.LDAPResultInappropriateAuthentication: {"rejected the bind", "check bind_dn and password_file"},
	ldap.LDAPResultInsufficientAccessRights:    {"refused the search", "check the rights of bind_dn"},
	ldap.LDAPResultOperationsError:             {"refused the search", "set bind_dn and password_file: Active Directory answers so to anonymous searches"},
	ldap.LDAPResultUnwillingToPerform:          {"refused the request", "check bind_dn and password_file, and what the server logs"},
	ldap.LDAPResultProtocolError:               {"does not support the request", "check start_tls: the server may not support StartTLS"},
	ldap.LDAPResultTimeLimitExceeded:           {"exceeded a limit of the server", "index the attributes of filter, or raise the limit"},
	ldap.LDAPResultAdminLimitExceeded:          {"exceeded a limit of the server", "index the attributes of filter, or raise the limit"},
	ldap.LDAPResultSizeLimitExceeded:           {"has more entries than the server returns", "write a filter that finds one entry, or raise the limit"},
	ldap.LDAPResultReferral:                    {"does not hold the configured base", "check base, or name a server that holds it: referrals are not followed"},
	ldap.LDAPResultUndefinedAttributeType:      {"does not know an attribute of the search", "check filter, aliases and attributes"},
	ldap.LDAPResultInappropriateMatching:       {"cannot search for an attribute of the filter", "check filter and aliases"},
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
	if handshakeError(err) {
		return "does not accept the TLS connection"
	}
	if e, ok := errors.AsType[*ldap.Error](err); ok {
		if r, ok := refusals[e.ResultCode]; ok {
			return r.word
		}
		if refuses(e.ResultCode) {
			return fmt.Sprintf("answers with LDAP result code %d", e.ResultCode)
		}
	}
	return "is unavailable"
}

// refuses reports whether a server answered that the request itself cannot be done, and
// not that the server is busy or away: the codes from 200 are those of the library.
func refuses(code uint16) bool {
	return code != ldap.LDAPResultBusy && code != ldap.LDAPResultUnavailable && code < ldap.LDAPResultServerDown
}

// withRemedy adds to an error of LDAP what to do about it, for the administrator.
func withRemedy(err error) error {
	if tlsError(err) {
		return &remediedError{err, "the server certificate must contain the name in the url, and ca its CA certificate"}
	}
	if handshakeError(err) {
		return &remediedError{err, "check scheme and port of the url, and client_certificate"}
	}
	if e, ok := errors.AsType[*ldap.Error](err); ok {
		if r, ok := refusals[e.ResultCode]; ok {
			return &remediedError{err, r.remedy}
		}
	}
	return err
}

// remediedError is an error with what to do about it.
type remediedError struct {
	err    error
	remedy string
}

// Error is one line. The text of a server may be empty.
func (e *remediedError) Error() string {
	return strings.TrimRight(e.err.Error(), ": ") + "; " + e.remedy
}

// Unwrap returns the error.
func (e *remediedError) Unwrap() error { return e.err }

// handshakeError reports whether TLS was refused by the server, or is not spoken there.
func handshakeError(err error) bool {
	err = cause(err)
	_, alert := errors.AsType[tls.AlertError](err)
	_, other := errors.AsType[tls.RecordHeaderError](err)
	return alert || other
}

func tlsError(err error) bool {
	_, ok := errors.AsType[*tls.CertificateVerificationError](cause(err))
	return ok
}

// cause is what the library has wrapped.
func cause(err error) error {
	if e, ok := errors.AsType[*ldap.Error](err); ok && e.Err != nil {
		return e.Err
	}
	return err
}
