package milter

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"

	"github.com/emersion/go-milter"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/internal/wire"
)

// session is one SMTP session of the MTA's client; it lives as long as the
// connection.
type session struct {
	conn    *conn
	config  *Config
	quiet   milter.OptProtocol // the agreed steps
	actions milter.OptAction   // the agreed edits
	exact   bool               // header values come with their leading space

	client relay.Client
	macros macros
	mta    string // the MTA's name, as it was when the client came
	tx     *transaction
}

// transaction is one message.
type transaction struct {
	env    *relay.Envelope
	sender error // why the sender cannot be used; said at the first recipient
	given  []given
	in     *wire.Collector
	// names are where those of the header fields are in what was gathered, as the MTA
	// counts the fields; few is the memory of usual ones.
	names   []span
	few     [24]span
	written int // octets of what was gathered
	inBody  bool

	decided *relay.Answer // nil until it is
}

// span is a part of what was gathered: its first octet, and the one behind it.
type span struct{ from, to int }

// given is a recipient as the MTA named it, and the key of its envelope
// address. The MTA deletes only what is spelled exactly as it spelled it.
type given struct{ text, key string }

// connected begins with a new client.
func (s *session) connected(addr netip.Addr) {
	s.mta = s.macros.mta
	s.client = relay.Client{Addr: addr}
}

// helo is called at each HELO or EHLO, also at the one after STARTTLS.
func (s *session) helo(name string) {
	s.client.Helo = name
	s.client.TLS = s.macros.tls != ""
}

// mailFrom starts a message.
func (s *session) mailFrom(from string, args []string) {
	s.forget()
	s.conn.setBusy(true)
	tx := &transaction{
		env: &relay.Envelope{ID: wire.NewID(), Listener: s.config.Listener, Client: s.client, Begun: s.config.Clock()},
		in:  wire.NewCollector(s.config.Limits.MessageSize, s.config.Memory),
	}
	tx.env.MTA = s.mta
	tx.env.Sender, tx.sender = s.paths().Sender(from)
	tx.env.QueueID = s.macros.queueID
	tx.env.Client.User = s.macros.user
	// The MTA has accepted them; what is malformed all the same is left out.
	tx.env.Params, _, _ = wire.MailParams(args)
	tx.names = tx.few[:0]
	s.tx = tx
}

// rcptTo answers for a recipient. A refusal leaves the message as it is.
func (s *session) rcptTo(to string, args []string) packet {
	if s.tx == nil {
		return s.refusal(fault.New(fault.Internal, "no sender", nil))
	}
	s.complete()
	err := wire.Guard(s.txLog(), "RCPT", func() error {
		if err := s.recipient(to, args); err != nil {
			return fmt.Errorf("RCPT TO:<%s>: %w", wire.Printable(to), err)
		}
		return nil
	})
	if err != nil {
		s.config.Meter.Refused(s.tx.env, err)
		return s.refusal(err)
	}
	return proceed
}

func (s *session) recipient(to string, args []string) error {
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
		r, _ := wire.RcptParams(args)
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

// field takes one header field of the message.
func (s *session) field(name, value []byte) {
	tx := s.tx
	if tx == nil {
		return
	}
	tx.names = append(tx.names, span{tx.written, tx.written + len(name)})
	tx.write(name)
	tx.write(colon)
	if !s.exact {
		tx.write(space) // the MTA took it, if it was there
	}
	for {
		line, rest, more := bytes.Cut(value, lineFeed)
		if !more {
			tx.write(value)
			break
		}
		tx.write(bytes.TrimSuffix(line, carriageReturn))
		tx.write(crlf)
		value = rest
	}
	tx.write(crlf)
}

// What stands between the parts of a header.
var (
	colon, space             = []byte(":"), []byte(" ")
	crlf                     = []byte("\r\n")
	carriageReturn, lineFeed = crlf[:1], crlf[1:]
)

func (s *session) body(chunk []byte) {
	if s.tx == nil {
		return
	}
	s.endHeader()
	s.tx.write(chunk)
}

func (s *session) endHeader() {
	if s.tx != nil && !s.tx.inBody {
		s.tx.inBody = true
		s.tx.write(crlf)
	}
}

// end decides on the message and answers.
func (s *session) end() error {
	defer s.forget()
	if s.tx == nil {
		return s.conn.writePacket(s.refusal(fault.New(fault.Internal, "no sender", nil)))
	}
	s.complete()
	s.endHeader()
	var v verdict
	err := wire.Guard(s.txLog(), "message", func() (err error) {
		v, err = s.decide()
		return err
	})
	s.config.Meter.Answered(relay.Tally{Envelope: s.tx.env, Decided: s.tx.decided, Err: err})
	if err != nil {
		return s.answer(s.refusal(err))
	}
	return s.answer(append(v.edits, v.final)...)
}

// answer sends the end of a message. It is not left in the buffer: as soon as the
// message is forgotten, Shutdown may close the connection, and an MTA that does not
// hear that its message was queued sends it again.
func (s *session) answer(packets ...packet) error {
	for _, p := range packets {
		if err := s.conn.writePacket(p); err != nil {
			return err
		}
	}
	return s.conn.flush()
}

// forget drops the message, not the connection.
func (s *session) forget() {
	if tx := s.tx; tx != nil {
		s.tx = nil // first: what Release gives back must not be referred to any more
		tx.in.Release()
	}
	s.conn.leaveChunk()
	s.conn.setBusy(false)
}

func (tx *transaction) write(p []byte) {
	_, _ = tx.in.Write(p) // a Collector's writes do not fail
	tx.written += len(p)
}

// complete adds to the envelope what came only after MAIL.
func (s *session) complete() {
	if id := s.macros.queueID; id != "" {
		s.tx.env.QueueID = id
	}
	if user := s.macros.user; user != "" {
		s.tx.env.Client.User = user
	}
}

func (s *session) txLog() *slog.Logger { return wire.Logger(s.config.Log, s.tx.env) }

// paths reads addresses as the MTA does: what has no domain is of its own host.
func (s *session) paths() wire.Paths {
	return wire.Paths{Host: s.host(), AllowRouted: s.config.AllowRouted}
}

func (s *session) host() string {
	if s.mta != "" {
		return s.mta
	}
	return s.config.Hostname
}

// refusal makes the answer for an error: a code that leaves the transaction open
// (at a recipient) or ends it (at the end of the message). Per cent signs are
// doubled, for the protocol takes the text for a format.
func (s *session) refusal(err error) packet {
	id := ""
	if s.tx != nil {
		id = s.tx.env.ID
	}
	r := wire.Answer(err, s.config.Contact, id)
	return packet{code: byte(milter.ActReplyCode), data: append([]byte(strings.ReplaceAll(wire.Line(r), "%", "%%")), 0)}
}

func tooManyRecipients() error {
	return fault.Narrow(fault.Capacity, fault.ManyRecipients, "too many recipients", nil)
}
