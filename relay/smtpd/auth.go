package smtpd

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
)

// Passwords checks logins.
type Passwords interface {
	// Check reports whether the password is that of the user, and under which name the
	// user is known. An unknown user takes as long as a known one. An error means that
	// it could not be found out.
	Check(ctx context.Context, user, password string) (name string, ok bool, err error)
}

// The mechanisms of AUTH: RFC 4616, draft-murchison-sasl-login, RFC 4422.
const (
	mechanismPlain    = "PLAIN"
	mechanismLogin    = "LOGIN"
	mechanismExternal = "EXTERNAL"
)

var mechanisms = []string{mechanismPlain, mechanismLogin, mechanismExternal}

// mechanisms are those that the client may use now.
func (l *link) mechanisms() (list []string) {
	config := &l.client.server.config
	if config.Passwords != nil && (l.tls != nil || config.AuthInClear) {
		list = append(list, mechanismPlain, mechanismLogin)
	}
	if l.holder != "" {
		list = append(list, mechanismExternal)
	}
	return list
}

// authenticated returns the name of the client; "" if it has none.
func (l *link) authenticated() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.user
}

// login is an AUTH command in hand.
type login struct {
	link      *link
	mechanism string
	initial   string // response, in base64
	user      string // as said, for the log
}

// authenticate answers an AUTH command (RFC 4954 section 4). Its error ends the
// connection.
func (l *link) authenticate(args string) error {
	mechanism, initial, _ := strings.Cut(args, " ")
	a := &login{link: l, mechanism: strings.ToUpper(mechanism), initial: strings.Trim(initial, " ")}
	name, err := "", a.refused()
	if err == nil {
		name, err = a.run()
	}
	if e, ok := errors.AsType[*brokenError](err); ok {
		return e.cause
	}
	if err != nil {
		config := &l.client.server.config
		config.Meter.Refused(&relay.Envelope{Listener: config.Listener}, err)
		l.mu.Lock()
		l.secret = true
		l.mu.Unlock()
		return l.answer(l.refusal(err))
	}
	l.mu.Lock()
	l.user, l.loggedIn = name, true
	l.mu.Unlock()
	l.client.log().Info("authenticated", "user", name, "mechanism", a.mechanism)
	return l.answer(line(relay.LoggedIn()))
}

// brokenError is the end of the connection within AUTH.
type brokenError struct{ cause error }

func (e *brokenError) Error() string { return e.cause.Error() }

// refused is why the command may not be given now; nil if it may.
func (a *login) refused() error {
	l := a.link
	l.mu.Lock()
	defer l.mu.Unlock()
	offered, config := l.mechanisms(), &l.client.server.config
	switch {
	case l.session == nil || l.inTransaction || l.loggedIn:
		return outOfOrder("AUTH is not accepted now")
	case slices.Contains(offered, a.mechanism):
		return nil
	case config.Passwords != nil && !config.AuthInClear && l.tls == nil:
		return fault.Narrow(fault.Policy, fault.NeedsTLS, "AUTH is accepted over TLS only", nil)
	}
	return fault.Narrow(fault.Malformed, fault.Mechanism, "authentication mechanism is not offered", nil)
}

// run speaks the mechanism.
func (a *login) run() (string, error) {
	first := ""
	if a.mechanism == mechanismLogin {
		first = "Username:"
	}
	response, err := a.response(first, a.initial)
	if err != nil {
		return "", err
	}
	switch a.mechanism {
	case mechanismExternal:
		if response != "" && !strings.EqualFold(response, a.link.holder) {
			a.user = response
			return "", a.failed()
		}
		return a.link.holder, nil
	case mechanismLogin:
		password, err := a.response("Password:", "")
		if err != nil {
			return "", err
		}
		return a.check(response, password)
	}
	parts := strings.Split(response, "\x00")
	if len(parts) != 3 {
		return "", badResponse()
	}
	if parts[0] != "" && !strings.EqualFold(parts[0], parts[1]) {
		// To act for others is not supported.
		a.user = parts[1]
		return "", a.failed()
	}
	return a.check(parts[1], parts[2])
}

// maxResponse is the longest line of a client in AUTH (RFC 4954 section 4.3).
const maxResponse = 12288

// response returns what the client answers to a challenge, or has said already.
func (a *login) response(challenge, given string) (string, error) {
	switch given {
	case "":
		l := a.link
		if err := l.answer(relay.Challenge(base64.StdEncoding.EncodeToString([]byte(challenge))) + "\r\n"); err != nil {
			return "", &brokenError{err}
		}
		if err := l.allowRead(); err != nil {
			return "", &brokenError{err}
		}
		text, err := l.in.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull) || len(text) > maxResponse:
			_ = l.refuseLine(fault.Narrow(fault.Malformed, fault.LongLine, "line too long", nil))
			return "", &brokenError{errClosing}
		case err != nil:
			return "", &brokenError{l.failed(err)}
		}
		given = strings.TrimRight(string(text), "\r\n")
	case "=":
		return "", nil // RFC 4954 section 4: an empty initial response
	}
	if given == "*" {
		return "", fault.Narrow(fault.Malformed, fault.Syntax, "authentication cancelled", nil)
	}
	decoded, err := base64.StdEncoding.DecodeString(given)
	if err != nil {
		return "", badResponse()
	}
	return string(decoded), nil
}

var errClosing = errors.New("connection closed")

func badResponse() error {
	return fault.Narrow(fault.Malformed, fault.Syntax, "authentication response not understood", nil)
}

// allowRead sets the deadline of a line.
func (l *link) allowRead() error {
	return l.Conn.SetReadDeadline(time.Now().Add(l.client.server.config.Limits.Read))
}

// answer sends a line.
func (l *link) answer(text string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reply([]byte(text))
}

// check asks for the password of a user. After too many failures from an address it is
// not asked any more.
func (a *login) check(user, password string) (string, error) {
	a.user = user
	s := a.link.client.server
	from := a.link.client.addr()
	if !s.failures.begin(from) {
		a.link.client.log().Warn("login refused: too many failures from this address", "user", user)
		return "", fault.Narrow(fault.Unavailable, fault.NoLogin, "too many failed logins from this address, try again later", nil)
	}
	ctx, cancel := context.WithTimeout(a.link.client.ctx, s.config.Limits.Process)
	defer cancel()
	name, n, err := s.checked(ctx, from, user, password)
	switch {
	case err != nil:
		a.link.client.log().Error("login could not be checked", "user", user, "error", err)
		return "", fault.Narrow(fault.Unavailable, fault.NoLogin, "the login cannot be checked now, try again later", err)
	case n > 0:
		return "", a.failedAgain(n)
	}
	return name, nil
}

// checked asks for the password. It counts a failure before the next check may begin, and
// returns then how many there are.
func (s *Server) checked(ctx context.Context, from netip.Addr, user, password string) (name string, failures int, err error) {
	defer s.failures.settle(from)
	name, ok, err := s.config.Passwords.Check(ctx, user, password)
	if err == nil && (!ok || name == "") {
		failures = s.failures.add(from)
	}
	return name, failures, err
}

// failed counts a failed login and returns its answer.
func (a *login) failed() error {
	c := a.link.client
	return a.failedAgain(c.server.failures.add(c.addr()))
}

// failedAgain lets the client wait for the answer to its nth failure, and returns that.
func (a *login) failedAgain(n int) error {
	c := a.link.client
	c.log().Warn("login failed", "user", a.user, "mechanism", a.mechanism, "failures", n)
	c.server.pause(c.ctx, delayAfter(n))
	return fault.Narrow(fault.Policy, fault.BadCredentials, "authentication failed", nil)
}
