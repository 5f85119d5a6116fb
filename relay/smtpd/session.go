package smtpd

import (
	"context"
	"log/slog"
	"strings"
	"sync"

	"github.com/emersion/go-smtp"

	"github.com/smimerelay/smimerelay/internal/address"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/internal/wire"
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
}

type given struct{ text, key string }

func (s *session) config() *Config { return &s.client.server.config }

// Mail starts a transaction.
func (s *session) Mail(from string, o *smtp.MailOptions) error {
	if !s.link.open() {
		return refuse(fault.New(fault.Internal, "the connection is closed", nil))
	}
	if s.current() != nil {
		// The library would keep the recipients of the first (RFC 5321 section
		// 4.1.1.2 has no second).
		return refuse(outOfOrder("nested MAIL command"))
	}
	sender, err := parse(from, o.UTF8)
	if err != nil {
		return refuse(err)
	}
	if o.Size > int64(s.config().Limits.MessageSize) {
		return refuse(fault.New(fault.TooLarge, "message too large", nil))
	}
	env := &relay.Envelope{
		ID: wire.NewID(), Listener: s.config().Listener, Sender: sender,
		Params: relay.MailParams{EnvID: o.EnvelopeID, Return: string(o.Return), SMTPUTF8: o.UTF8},
		Client: relay.Client{
			Addr: wire.RemoteAddr(s.client.raw), Helo: s.conn.Hostname(), TLS: s.link.tls != nil,
		},
	}
	s.set(&transaction{env: env})
	return nil
}

// Rcpt adds a recipient, if the handler has nothing against it.
func (s *session) Rcpt(to string, o *smtp.RcptOptions) error {
	tx := s.current()
	if tx == nil {
		return refuse(fault.New(fault.Internal, "no transaction", nil))
	}
	a, err := parse(to, tx.env.Params.SMTPUTF8)
	if err != nil {
		return refuse(err)
	}
	r := relay.Recipient{Address: a, Original: o.OriginalRecipient, OriginalType: strings.ToLower(string(o.OriginalRecipientType))}
	for _, n := range o.Notify {
		r.Notify = append(r.Notify, string(n))
	}
	return s.guard("RCPT", tx.env, func() error {
		g := given{text: to, key: wire.Key(a)}
		if !tx.has(g.key) {
			if err := s.config().Handler.Recipient(s.client.ctx, tx.env, r); err != nil {
				return err
			}
			tx.env.Recipients = append(tx.env.Recipients, r)
		}
		tx.given = append(tx.given, g)
		return nil
	})
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

// guard runs f, which may panic, and makes its error a reply: whatever goes
// wrong here is temporary for the peer and in our log.
func (s *session) guard(what string, env *relay.Envelope, f func() error) error {
	return refuse(wire.Guard(s.log(env), what, f))
}

func (s *session) log(env *relay.Envelope) *slog.Logger {
	return s.config().Log.With("listener", s.config().Listener, "id", env.ID)
}

// work returns the context for the work on a message.
func (s *session) work() (context.Context, context.CancelFunc) {
	return context.WithTimeout(s.client.ctx, s.config().Limits.Process)
}

func outOfOrder(text string) error {
	return &fault.Error{Kind: fault.Malformed, Public: text, Reply: fault.Reply{Code: 503, Enhanced: [3]int{5, 5, 1}, Text: text}}
}

// parse reads an address that the library has taken out of its quotes.
func parse(s string, utf8 bool) (address.Address, error) {
	if s == "" {
		return address.Null, nil
	}
	a, err := address.ParseUnquoted(s)
	if err != nil {
		return address.Null, fault.New(fault.BadAddress, "address not understood", err)
	}
	if !utf8 && strings.ContainsFunc(s, func(r rune) bool { return r > '~' }) {
		// RFC 6531 section 3.5.
		return address.Null, &fault.Error{
			Kind: fault.BadAddress, Public: "address needs SMTPUTF8",
			Reply: fault.Reply{Code: 553, Enhanced: [3]int{5, 6, 7}, Text: "address needs SMTPUTF8"},
		}
	}
	return a, nil
}

// refuse makes the reply for an error. It must be exactly this type: the
// library turns everything else into a permanent error.
func refuse(err error) error {
	if err == nil {
		return nil
	}
	r := wire.Reply(err)
	return &smtp.SMTPError{Code: r.Code, EnhancedCode: smtp.EnhancedCode(r.Enhanced), Message: r.Text}
}

// received is the trace field that we add.
func (s *session) received(env *relay.Envelope) string {
	base := "ESMTP"
	if s.config().LMTP {
		base = "LMTP"
	}
	return wire.Received(env, s.config().Hostname, wire.Protocol(env, base), env.ID, s.config().Clock())
}
