package smtpd

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"github.com/emersion/go-smtp"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/internal/wire"
	"github.com/smimerelay/smimerelay/smime/address"
)

// session is what the library calls. With BDAT it does so from two goroutines.
type session struct {
	client *client
	link   *link
	conn   *smtp.Conn

	mu sync.Mutex
	tx *transaction
}

// transaction is one mail transaction (RFC 5321 section 3.3).
type transaction struct {
	env *relay.Envelope
	// given are the recipients as the library named them, in the order of
	// their RCPT commands, with the key of their envelope address.
	given []given
	in    *wire.Collector // of the message

	decided *relay.Answer // nil until it is
	answers []error       // LMTP: to each recipient
}

type given struct{ text, key string }

func (s *session) config() *Config { return &s.client.server.config }

// newSession returns the session of the connection.
func (l *link) newSession(conn *smtp.Conn) *session {
	s := &session{client: l.client, link: l, conn: conn}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.session = s
	return s
}

// Mail starts a transaction. What the library read of the command is not used.
func (s *session) Mail(string, *smtp.MailOptions) error {
	if !s.link.open() {
		return s.refuse(nil, fault.New(fault.Internal, "the connection is closed", nil))
	}
	c, ok := s.link.taken("MAIL")
	env := s.envelope()
	return s.guard("MAIL", env, func() (err error) {
		if !ok || s.current() != nil {
			// The library would keep the recipients of the first (RFC 5321 section
			// 4.1.1.2 has no second).
			return outOfOrder("nested MAIL command")
		}
		if env.Sender, env.Params, err = c.mail(s.config().Limits.MessageSize, s.link.tls != nil); err != nil {
			return at(c, err)
		}
		s.set(&transaction{env: env})
		return nil
	})
}

// envelope begins an envelope: with the client that speaks to us or, where it
// is an MTA that says so, with the client of that MTA.
func (s *session) envelope() *relay.Envelope {
	f := s.link.forwardedBy()
	env := &relay.Envelope{ID: wire.NewID(), Listener: s.config().Listener, Begun: s.config().Clock()}
	env.Client = relay.Client{Addr: s.client.addr(), Helo: s.client.helo(s.conn.Hostname()), TLS: s.link.tls != nil, User: s.link.authenticated()}
	if s.link.trusted {
		env.MTA = s.conn.Hostname()
	}
	if f.said {
		env.Client = relay.Client{Addr: f.addr, Helo: f.helo, User: f.login, TLS: s.link.tls != nil}
		env.QueueID = f.id
	}
	return env
}

// Rcpt adds a recipient, if the handler has nothing against it.
func (s *session) Rcpt(string, *smtp.RcptOptions) error {
	tx := s.current()
	if tx == nil {
		return s.refuse(nil, fault.New(fault.Internal, "no transaction", nil))
	}
	c, ok := s.link.taken("RCPT")
	return s.guard("RCPT", tx.env, func() error {
		if !ok {
			return fault.New(fault.Internal, "no command is being processed", nil)
		}
		r, err := c.rcpt(tx.env.Params.SMTPUTF8)
		if err != nil {
			return at(c, err)
		}
		g := given{text: unquoted(r.Address), key: relay.Key(r.Address)}
		if !tx.has(g.key) {
			if err := s.config().Handler.Recipient(s.client.ctx, tx.env, r); err != nil {
				return at(c, err)
			}
			tx.env.Recipients = append(tx.env.Recipients, r)
		}
		tx.given = append(tx.given, g)
		return nil
	})
}

// unquoted is how the library names a recipient.
func unquoted(a address.Address) string {
	s := a.String()
	return a.Local() + s[strings.LastIndexByte(s, '@'):]
}

// at names the command that an error is about, for the log.
func at(c command, err error) error {
	return fmt.Errorf("%s: %w", wire.Printable(c.line), err)
}

func (tx *transaction) has(key string) bool {
	for _, g := range tx.given {
		if g.key == key {
			return true
		}
	}
	return false
}

// Reset ends a transaction. The library calls it after the answer to a message,
// too.
func (s *session) Reset() {
	s.set(nil)
	s.link.end()
}

// Logout ends the session.
func (s *session) Logout() error {
	s.set(nil)
	return nil
}

func (s *session) set(tx *transaction) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tx = tx
}

func (s *session) current() *transaction {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tx
}

// theMessage is what is done when a message has come.
const theMessage = "message"

// guard runs f, which may panic, and makes its error a reply: whatever goes
// wrong here is temporary for the peer and in our log.
func (s *session) guard(what string, env *relay.Envelope, f func() error) error {
	err := wire.Guard(s.log(env), what, f)
	if err != nil {
		s.link.hasLogged()
	}
	switch {
	case what == theMessage:
		s.answered(err)
	case err != nil:
		s.config().Meter.Refused(env, err)
	}
	return s.refuse(env, err)
}

func (s *session) log(env *relay.Envelope) *slog.Logger { return wire.Logger(s.config().Log, env) }

// work returns the context for the work on a message.
func (s *session) work() (context.Context, context.CancelFunc) {
	ctx := s.client.ctx
	if tx := s.current(); tx != nil && tx.in != nil {
		ctx = relay.WithMemory(ctx, tx.in.Reserver())
	}
	return context.WithTimeout(ctx, s.config().Limits.Process)
}

func outOfOrder(text string) error {
	return fault.Narrow(fault.Malformed, fault.Sequence, text, nil)
}

// refuse makes the reply for an error, with the id by which the log has it. It
// must be exactly this type: the library turns everything else into a permanent
// error.
func (s *session) refuse(env *relay.Envelope, err error) error {
	if err == nil {
		return nil
	}
	id := ""
	if env != nil {
		id = env.ID
	}
	return spoken(wire.Answer(err, s.config().Contact, id))
}

func spoken(r fault.Reply) error {
	return &smtp.SMTPError{Code: r.Code, EnhancedCode: smtp.EnhancedCode(r.Enhanced), Message: r.Text}
}

// accepted is the reply of a message, or of one of its recipients, that we take:
// the library sends what looks like an error as it is, and has no id to tell.
func accepted(env *relay.Envelope) error {
	return spoken(relay.Accepted("OK: queued as " + env.ID))
}

// received is the trace field that we add.
func (s *session) received(env *relay.Envelope) string {
	base := "SMTP"
	switch {
	case s.config().LMTP:
		base = "LMTP"
	case s.link.saidEHLO():
		base = "ESMTP"
	}
	with := wire.Protocol(env, base, s.link.authenticated() != "")
	return wire.Received(env, s.config().Hostname, with, env.ID, s.config().Clock())
}
