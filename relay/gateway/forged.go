package gateway

import (
	"strings"

	"github.com/smimerelay/smimerelay/smime/message"
)

// forged reports whether a field of a message could be taken for one that we write by
// this configuration.
func (g *Gateway) forged(f message.Field) bool {
	return forged(f, g.Hostname) || g.Inbound.CipherMail != "" && ofCipherMail(f)
}

// forged reports whether a field of a message from outside could be taken for
// one that we wrote (RFC 8601 section 5): any X-SMIME-Status, X-SMIME-Status-HMAC or
// X-SMIME-Origin, and an Authentication-Results that bears our name, or of which it is not known
// whose name it bears.
func forged(f message.Field, hostname string) bool {
	if f.Is(statusField, hmacField, secretField) {
		return true
	}
	if !f.Is(resultsField) {
		return false
	}
	id, ok := authservID(f.Value())
	return !ok || readsAs(id, hostname)
}

// stamped reports whether a field is one that we put on mail that came in.
func stamped(f message.Field, hostname string) bool {
	if !f.Is(resultsField) {
		return f.Is(statusField)
	}
	id, ok := authservID(f.Value())
	return ok && sameHost(id, hostname)
}

func sameHost(a, b string) bool {
	return strings.EqualFold(strings.TrimRight(a, "."), strings.TrimRight(b, "."))
}

// readsAs reports whether a reader may take id for hostname: it is the same, or
// starts with it and goes on with what no host name has, where a reader that
// looks for a host name stops.
func readsAs(id, hostname string) bool {
	id, hostname = strings.TrimRight(id, "."), strings.TrimRight(hostname, ".")
	if len(id) < len(hostname) || !strings.EqualFold(id[:len(hostname)], hostname) {
		return false
	}
	rest := strings.TrimLeft(id[len(hostname):], ".")
	return rest == "" || !isHostOctet(rest[0])
}

// isHostOctet reports whether c may be in a host name; those over 127 may, with
// RFC 5890.
func isHostOctet(c byte) bool {
	return c >= 0x80 || c == '-' || c == '.' || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}

// authservID reads the authserv-id from a value: [CFWS] value (RFC 8601 section
// 2.2), where value is a token or a quoted-string (RFC 2045 section 5.1).
func authservID(s string) (string, bool) {
	s, ok := skipCFWS(s)
	if !ok || s == "" {
		return "", false
	}
	if s[0] == '"' {
		return unquote(s[1:])
	}
	end := strings.IndexFunc(s, func(c rune) bool {
		return c <= ' ' || c > '~' || strings.ContainsRune("()<>@,;:\\\"/[]?=", c)
	})
	if end < 0 {
		return s, true
	}
	// Anything but white space, a comment or the semicolon ends no token.
	return s[:end], end > 0 && strings.ContainsRune(" \t(;", rune(s[end]))
}

// skipCFWS skips white space and comments, which nest (RFC 5322 section 3.2.2).
func skipCFWS(s string) (string, bool) {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '(':
			depth++
		case depth > 0 && c == '\\':
			i++
		case depth > 0 && c == ')':
			depth--
		case depth == 0 && c != ' ' && c != '\t':
			return s[i:], true
		}
	}
	return "", depth == 0
}

func unquote(s string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), true
		case '\\':
			if i++; i < len(s) {
				b.WriteByte(s[i])
			}
		default:
			b.WriteByte(s[i])
		}
	}
	return "", false
}
