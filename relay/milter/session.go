package milter

import (
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"net/textproto"
	"strings"

	"github.com/emersion/go-milter"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/internal/wire"
)

// session is one SMTP session of the MTA's client; it lives as long as the
// connection, whatever the library thinks.
type session struct {
	conn    *conn
	config  *Config
	log     *slog.Logger
	quiet   milter.OptProtocol // the agreed steps
	actions milter.OptAction   // the agreed edits
	exact   bool               // header values come with their leading space

	client relay.Client
	macros map[string]string // of the connection
	args   []string          // ESMTP parameters of the command being handled
	tx     *transaction
}

// transaction is one message.
type transaction struct {
	env    *relay.Envelope
	macros map[string]string
	sender error // why the sender cannot be used; said at the first recipient
	given  []given
	in     *wire.Collector
	names  []string // of the header fields, as the MTA counts them
	inBody bool

	decided *relay.Answer // nil until it is
}

// given is a recipient as the MTA named it, and the key of its envelope
// address. The MTA deletes only what is spelled exactly as it spelled it.
type given struct{ text, key string }

// Connect is called for a new client.
func (s *session) Connect(host, family string, port uint16, addr net.IP, m *milter.Modifier) (milter.Response, error) {
	s.macros = map[string]string{}
	maps.Copy(s.macros, m.Macros)
	s.client = relay.Client{}
	if a, ok := netip.AddrFromSlice(addr); ok {
		s.client.Addr = a.Unmap()
	}
	return s.answer(milter.OptNoConnReply), nil
}

// Helo is called at each HELO or EHLO, also at the one after STARTTLS.
func (s *session) Helo(name string, m *milter.Modifier) (milter.Response, error) {
	s.client.Helo = name
	s.client.TLS = m.Macros["{tls_version}"] != ""
	return s.answer(milter.OptNoHeloReply), nil
}

// MailFrom starts a message.
func (s *session) MailFrom(from string, m *milter.Modifier) (milter.Response, error) {
	s.forget()
	s.conn.setBusy(true)
	tx := &transaction{
		macros: maps.Clone(m.Macros),
		env:    &relay.Envelope{ID: wire.NewID(), Listener: s.config.Listener, Client: s.client},
		in:     wire.NewCollector(s.config.Limits.MessageSize, s.config.Memory),
	}
	tx.env.MTA = s.macros["j"]
	tx.env.Sender, tx.sender = s.paths().Sender(from)
	tx.env.QueueID = m.Macros["i"]
	tx.env.Client.User = m.Macros["{auth_authen}"]
	// The MTA has accepted them; what is malformed all the same is left out.
	tx.env.Params, _, _ = wire.MailParams(s.args)
	s.args = nil
	s.tx = tx
	return s.answer(milter.OptNoMailReply), nil
}

// RcptTo is asked about a recipient. A refusal leaves the message as it is: the
// library must not see a final answer here, or it would forget the sender.
func (s *session) RcptTo(to string, m *milter.Modifier) (milter.Response, error) {
	if s.tx == nil {
		return reply(nil, fault.New(fault.Internal, "no sender", nil)), nil
	}
	s.learn(m)
	err := wire.Guard(s.txLog(), "RCPT", func() error {
		if err := s.recipient(to); err != nil {
			return fmt.Errorf("RCPT TO:<%s>: %w", wire.Printable(to), err)
		}
		return nil
	})
	s.args = nil
	if err != nil {
		s.config.Meter.Refused(s.tx.env, err)
		return reply(s.tx.env, err), nil
	}
	return milter.RespContinue, nil
}

func (s *session) recipient(to string) error {
	tx := s.tx
	if tx.sender != nil {
		return tx.sender
	}
	if len(tx.env.Recipients) >= s.config.Limits.Recipients {
		return tooManyRecipients()
	}
	a, err := s.paths().Recipient(to)
	if err != nil {
		return err
	}
	g := given{text: to, key: relay.Key(a)}
	if !tx.has(g.key) {
		r, _ := wire.RcptParams(s.args)
		r.Address = a
		if err := s.config.Handler.Recipient(s.conn.ctx, tx.env, r); err != nil {
			return err
		}
		tx.env.Recipients = append(tx.env.Recipients, r)
	}
	tx.given = append(tx.given, g)
	return nil
}

func (tx *transaction) has(key string) bool {
	for _, g := range tx.given {
		if g.key == key {
			return true
		}
	}
	return false
}

// Header takes one header field of the message.
func (s *session) Header(name, value string, m *milter.Modifier) (milter.Response, error) {
	if tx := s.tx; tx != nil {
		tx.names = append(tx.names, name)
		sep := ":"
		if !s.exact {
			sep = ": " // the MTA took it, if it was there
		}
		tx.write(name, sep, crlf(value), "\r\n")
	}
	return s.answer(milter.OptNoHeaderReply), nil
}

// Headers is called at the end of the header.
func (s *session) Headers(textproto.MIMEHeader, *milter.Modifier) (milter.Response, error) {
	s.endHeader()
	return s.answer(milter.OptNoEOHReply), nil
}

// BodyChunk takes a part of the body.
func (s *session) BodyChunk(chunk []byte, m *milter.Modifier) (milter.Response, error) {
	s.body(chunk)
	return s.answer(milter.OptNoBodyReply), nil
}

func (s *session) body(chunk []byte) {
	if s.tx == nil {
		return
	}
	s.endHeader()
	_, _ = s.tx.in.Write(chunk) // a Collector's writes do not fail
}

func (s *session) endHeader() {
	if s.tx != nil && !s.tx.inBody {
		s.tx.inBody = true
		s.tx.write("\r\n")
	}
}

// Body is called at the end of the message: it decides.
func (s *session) Body(m *milter.Modifier) (milter.Response, error) {
	defer s.forget()
	if s.tx == nil {
		return reply(nil, fault.New(fault.Internal, "no sender", nil)), nil
	}
	s.learn(m)
	s.endHeader()
	var v verdict
	err := wire.Guard(s.txLog(), "message", func() (err error) {
		v, err = s.decide()
		return err
	})
	s.config.Meter.Answered(relay.Tally{Envelope: s.tx.env, Decided: s.tx.decided, Err: err})
	if err != nil {
		return reply(s.tx.env, err), nil
	}
	for _, p := range v.edits {
		if err := s.conn.writePacket(p); err != nil {
			return nil, err // the connection is gone, and the MTA with it
		}
	}
	return v.final, nil
}

// Abort forgets the message, not the connection.
func (s *session) Abort(*milter.Modifier) error {
	s.forget()
	return nil
}

func (s *session) forget() {
	if s.tx != nil {
		s.tx.in.Release()
		s.tx = nil
	}
	s.conn.setBusy(false)
}

func (tx *transaction) write(parts ...string) {
	for _, p := range parts {
		_, _ = tx.in.Write([]byte(p)) // a Collector's writes do not fail
	}
}

// learn keeps the macros of this stage: the library forgets them at the next.
func (s *session) learn(m *milter.Modifier) {
	if s.tx.macros == nil {
		s.tx.macros = map[string]string{}
	}
	maps.Copy(s.tx.macros, m.Macros)
	if id := s.tx.macros["i"]; id != "" {
		s.tx.env.QueueID = id
	}
	if user := s.tx.macros["{auth_authen}"]; user != "" {
		s.tx.env.Client.User = user
	}
}

func (s *session) txLog() *slog.Logger { return wire.Logger(s.config.Log, s.tx.env) }

// answer returns what to say at a stage where we never refuse: nothing, if the
// MTA agreed to that.
func (s *session) answer(step milter.OptProtocol) milter.Response {
	if s.quiet&step != 0 {
		return nil
	}
	return milter.RespContinue
}

// paths reads addresses as the MTA does: what has no domain is of its own host.
func (s *session) paths() wire.Paths {
	return wire.Paths{Host: s.host(), AllowRouted: s.config.AllowRouted}
}

func (s *session) host() string {
	if j := s.macros["j"]; j != "" {
		return j
	}
	return s.config.Hostname
}

// reply makes the answer for an error: a code that leaves the transaction open
// (at a recipient) or ends it (at the end of the message). Per cent signs are
// doubled, for the protocol takes the text for a format.
func reply(env *relay.Envelope, err error) milter.Response {
	r := wire.Reply(err)
	if env != nil {
		r = wire.WithID(r, env.ID)
	}
	return milter.NewResponseStr(byte(milter.ActReplyCode), strings.ReplaceAll(wire.Line(r), "%", "%%"))
}

func tooManyRecipients() error {
	return fault.Narrow(fault.Capacity, fault.ManyRecipients, "too many recipients", nil)
}

// crlf turns the line feeds of a folded value into line ends.
func crlf(value string) string {
	if !strings.Contains(value, "\n") {
		return value
	}
	return strings.ReplaceAll(strings.ReplaceAll(value, "\r\n", "\n"), "\n", "\r\n")
}
