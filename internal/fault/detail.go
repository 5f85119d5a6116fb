package fault

// Detail narrows a Kind down where SMTP has a code of its own for the case. It
// decides nothing but that code: what becomes of the message follows from the kind.
type Detail int

const (
	// Plain is the code of the kind.
	Plain Detail = iota
	// ManyRecipients: a transaction has more recipients than are accepted. 452 4.5.3.
	ManyRecipients
	// UnknownMailbox: there is no such recipient. 550 5.1.1.
	UnknownMailbox
	// Routed: an address names the way that mail is to take. 550 5.1.3.
	Routed
	// Looping: the message has passed too many servers. 554 5.4.6.
	Looping
	// Expired: delivery was tried for as long as it may be. 554 5.4.7.
	Expired
	// International: an address or message needs SMTPUTF8 (RFC 6531). 553 5.6.7.
	International
	// Conversion: 8-bit content may not be converted. 554 5.6.3.
	Conversion
	// RequireTLS: the message may leave only to a hop that supports REQUIRETLS (RFC
	// 8689). 550 5.7.30.
	RequireTLS
	// NoTLS: the next hop offers no TLS, which is required. 451 4.7.4.
	NoTLS
	// BrokenTLS: the next hop does not prove by TLS who it is, which is required. 451 4.7.5.
	BrokenTLS
	// NoDomain: the domain of a recipient does not exist. 550 5.1.2.
	NoDomain
	// NullMX: the domain of a recipient takes no mail (RFC 7505). 556 5.1.10.
	NullMX
	// NoHost: no host takes mail for a domain. 550 5.4.4.
	NoHost
	// BareLineEnd: a CR or LF stands alone in the message. 554 5.5.2.
	BareLineEnd
	// LongLine: a command line is too long. 500 5.5.2.
	LongLine
	// UnknownCommand: a line does not begin with a command. 500 5.5.2.
	UnknownCommand
	// Syntax: a command is not understood. 501 5.5.2.
	Syntax
	// Parameter: a parameter of a command is not valid. 501 5.5.4.
	Parameter
	// UnknownParameter: a parameter of a command is not known. 555 5.5.4.
	UnknownParameter
	// Sequence: a command is out of order. 503 5.5.1.
	Sequence
	// Unauthorized: a client may not use a command. 550 5.7.0.
	Unauthorized
	// BadCredentials: a login failed. 535 5.7.8.
	BadCredentials
	// NoLogin: a login cannot be checked now. 454 4.7.0.
	NoLogin
	// NeedsTLS: a login is accepted over TLS only. 538 5.7.11.
	NeedsTLS
	// Mechanism: an authentication mechanism is not offered. 504 5.5.4.
	Mechanism
	// Misbehaving: the connection is closed for what the client did. 421 4.7.0.
	Misbehaving
	// Interrupted: the connection is closed, for the message was given up. 421 4.5.0.
	Interrupted
	// Closing: this server takes no connection now. 421 4.3.2.
	Closing
)

// Narrow returns an error of kind k that is answered with the code of d.
func Narrow(k Kind, d Detail, public string, cause error) *Error {
	return &Error{Kind: k, Detail: d, Public: public, Cause: cause}
}
