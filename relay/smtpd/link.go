package smtpd

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/internal/wire"
)

// link is the connection as the library sees it. Everything passes here in the
// clear, also under TLS.
type link struct {
	net.Conn
	client *client
	tls    *tls.ConnectionState // nil: in the clear
	reader
	trusted  bool   // its peer may say by XFORWARD who its client is
	user     string // as whom the client is authenticated; "" if it is not
	loggedIn bool   // by AUTH
	holder   string // of the certificate that the client has shown, if that is admitted

	mu       sync.Mutex
	held     []byte // replies that go out with the next, or before a read that waits
	silent   bool   // the greeting was said before STARTTLS
	greeted  bool
	extended bool      // the client said EHLO, and not HELO
	upgrade  bool      // STARTTLS was answered: the library is to find an end
	ended    bool      // a read failed: nothing more will come
	message  bool      // a message is being received or worked on
	reading  bool      // it is still being received
	more     bool      // the last reply asked for its next chunk (BDAT)
	until    time.Time // when the message must have arrived
	started  time.Time // when it began to
	octets   int64     // of it so far
	scan     scanner   // of DATA
	data     bool      // DATA was answered with 354
	errors   int
	excess   int // recipients that were too many for one message
	draining bool
	closed   bool

	command       command // in hand
	answered      bool    // it was used: by the session, or for the extensions
	logged        bool    // its refusal is in the log
	secret        bool    // AUTH was refused: the client may send a user and a password yet
	inTransaction bool
	forwarded     forwarded
	session       *session
}

func (c *client) newLink(nc net.Conn, t *tls.ConnectionState) *link {
	l := &link{Conn: nc, client: c, tls: t, trusted: c.trusted()}
	if identify := c.server.config.Identify; t != nil && identify != nil {
		l.holder = identify(*t)
		l.user = l.holder
	}
	if c.named != nil {
		l.user, l.holder = c.named.login, "" // the certificate is that of the proxy
	}
	l.init(nc)
	return l
}

// Write sends a reply line; the library writes one at a time.
func (l *link) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.upgrade:
		return len(p), nil // to the void: the peer speaks TLS now
	case l.silent:
		l.silent, l.greeted = false, true
		return len(p), nil // RFC 3207 section 4.2: no greeting after STARTTLS
	}
	if err := l.reply(l.reworded(p)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// reworded returns a reply of the library as the peer gets it: with our
// extensions, and without the address that the library was shown.
func (l *link) reworded(p []byte) []byte {
	verb := l.command.verb
	switch {
	case verb == "EHLO" || verb == "LHLO":
		l.extended = l.extended || replyCode(p) == "250"
		return l.withExtensions(p)
	case verb == "HELO" && replyCode(p) == "250":
		l.extended = false
		return l.named(p)
	case replyCode(p) == "502" && inSequence[verb]:
		// RFC 5321 section 4.3.2, and RFC 2033 section 4.2, which demands it of DATA.
		return slices.Concat([]byte("503"), p[3:])
	case verb == "MAIL" && replyCode(p) == "250":
		l.inTransaction = true
		return []byte(line(relay.SenderAccepted()))
	case verb == "RCPT" && replyCode(p) == "250":
		return []byte(line(relay.RecipientAccepted()))
	}
	return p
}

// inSequence are the commands that the library refuses only where they do not stand in
// their place.
var inSequence = map[string]bool{"MAIL": true, "RCPT": true, "DATA": true, "BDAT": true}

// named returns the first line of the reply to a greeting, with the name of the server in
// front (RFC 5321 section 4.1.1.1) and no enhanced code (RFC 2034 section 4).
func (l *link) named(p []byte) []byte {
	return slices.Concat(p[:4], []byte(l.client.server.config.Hostname+" "), bytes.TrimPrefix(p[4:], []byte("2.0.0 ")))
}

// withExtensions returns a line of the reply to EHLO: what the library does not know stands
// behind the first.
func (l *link) withExtensions(p []byte) []byte {
	if bytes.HasPrefix(p, []byte("250-SIZE ")) {
		// The library has one more, for it refuses a message of exactly its limit.
		return fmt.Appendf(nil, "250-SIZE %d\r\n", l.client.server.config.Limits.MessageSize)
	}
	if l.answered || !bytes.HasPrefix(p, []byte("250-")) {
		return p
	}
	l.answered = true
	p = l.named(p)
	if l.tls != nil {
		p = append(p, "250-REQUIRETLS\r\n"...)
	}
	if mechanisms := l.mechanisms(); len(mechanisms) > 0 {
		p = append(p, "250-AUTH "+strings.Join(mechanisms, " ")+"\r\n"...)
	}
	if l.mayXClient() {
		p = append(p, "250-XCLIENT "+clientAttributes+"\r\n"...)
	}
	if l.trusted {
		p = append(p, "250-XFORWARD "+attributes+"\r\n"...)
	}
	return p
}

// reply sends a reply line and draws the conclusions.
func (l *link) reply(p []byte) error {
	code := replyCode(p)
	if code != "" && code != "421" && (code[0] == '4' || code[0] == '5') {
		l.logRefusal(string(p)) // before the peer has it
	}
	if verb := l.command.verb; continues(p) || code == "250" && (verb == "MAIL" || verb == "RCPT") {
		l.held = append(l.held, p...)
		return nil
	}
	if err := l.send(p); err != nil {
		return err
	}
	l.more = bytes.HasSuffix(p, []byte(" Continue\r\n"))
	switch {
	case code == "220" && l.greeted:
		// The one other 220 is the go-ahead to STARTTLS (RFC 3207 section 4).
		l.upgrade = true
	case code == "220":
		l.greeted = true
	case code == "354":
		l.data, l.scan, l.text = true, scanner{}, atLine
	case code == "421":
		return l.hangUp("")
	case code == "452" && l.command.verb == "RCPT" && l.excess < l.client.server.config.Limits.Recipients:
		// A client may find the limit by trying (RFC 5321 section 4.5.3.1.10).
		l.excess++
	case code != "" && (code[0] == '4' || code[0] == '5'):
		l.errors++
		if limit := l.client.server.config.Limits.Errors; limit > 0 && l.errors > limit {
			return l.hangUp(closing(fault.Misbehaving, "too many errors"))
		}
	}
	return nil
}

// send sends what is held, and p.
func (l *link) send(p []byte) error {
	if err := l.Conn.SetWriteDeadline(time.Now().Add(l.client.server.config.Limits.Write)); err != nil {
		return err
	}
	l.held = append(l.held, p...)
	_, err := l.Conn.Write(l.held)
	l.held = l.held[:0]
	return err
}

// release sends what is held, unless the client has sent another whole line: its commands
// may come in groups, and their replies then go out in groups too (RFC 2920 section 3.2).
func (l *link) release() error {
	if len(l.held) == 0 {
		return nil
	}
	if more, _ := l.in.Peek(l.in.Buffered()); bytes.IndexByte(more, '\n') >= 0 {
		return nil
	}
	return l.send(nil)
}

// hangUp says last, if there is something to say, and ends the connection.
func (l *link) hangUp(last string) error {
	if l.closed {
		return nil
	}
	l.closed = true
	if last != "" {
		if err := l.send([]byte(last)); err != nil {
			return errors.Join(err, l.Conn.Close())
		}
	}
	return l.Conn.Close()
}

// Close ends the connection, unless TLS is to be started on it.
func (l *link) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.upgrade || l.closed {
		return nil
	}
	l.closed = true
	return l.Conn.Close()
}

// open reports whether answers still reach the peer. The library goes on with
// what it has read already, and without an answer nothing may be accepted.
func (l *link) open() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.closed && !l.upgrade
}

func (l *link) upgraded() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.upgrade && !l.closed
}

// saidEHLO reports whether the last greeting was EHLO.
func (l *link) saidEHLO() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.extended
}

// inData reports whether the message comes by DATA, and not by BDAT.
func (l *link) inData() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.data
}

// begin notes that a message starts to arrive.
func (l *link) begin(until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.message, l.reading, l.until, l.started, l.octets = true, true, until, time.Now(), 0
}

// arrived notes that the whole message is there, if it is: complete is false
// when the connection ended in it, and exact when it held a bare CR or LF.
func (l *link) arrived() (complete, exact bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reading, l.until = false, time.Time{}
	return !l.ended, !l.scan.bare
}

// end notes that the message was answered, or given up. What follows a message
// with bare line ends may be part of it for another server: it is not read. After
// a message that was given up between two BDAT, the library may take its result
// for that of the next one: there is no next one.
func (l *link) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	bare, midway := l.scan.bare, l.reading || l.more
	l.inTransaction, l.forwarded = false, forwarded{}
	l.message, l.reading, l.data, l.until, l.scan = false, false, false, time.Time{}, scanner{}
	switch {
	case l.draining:
		l.goodbye()
	case bare:
		_ = l.hangUp(closing(fault.Misbehaving, "bare CR or LF, closing the connection"))
	case midway:
		_ = l.hangUp(closing(fault.Interrupted, "message aborted, closing the connection"))
	}
}

// abandon notes that a message is not received any more.
func (l *link) abandon() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.message, l.reading = false, false
}

func (l *link) drain() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.draining = true
	if !l.message {
		l.goodbye()
	}
}

// goodbye is best effort: the peer may be gone, and we are about to be.
func (l *link) goodbye() { _ = l.hangUp(closing(fault.Closing, "shutting down, try again later")) }

func replyCode(p []byte) string {
	if len(p) < 4 || p[3] != ' ' {
		return "" // not the last line of a reply
	}
	return string(p[:3])
}

// continues reports whether more lines follow that are of the same reply.
func continues(p []byte) bool { return len(p) > 3 && p[3] == '-' }

// logRefusal writes the refusal of the current command, unless the code that refused
// it has: the library does so by itself.
func (l *link) logRefusal(reply string) {
	if l.logged || l.command.verb == "" {
		return
	}
	config := &l.client.server.config
	log := config.Log.With("listener", config.Listener, "client", l.client.raw.RemoteAddr().String())
	if l.session != nil {
		if tx := l.session.current(); tx != nil {
			log = wire.Logger(config.Log, tx.env)
		}
	}
	log.Info("refused", "at", l.command.verb, "command", wire.Printable(l.command.line), "reply", strings.TrimSpace(reply))
}

// hasLogged notes that the refusal of the command in hand is in the log.
func (l *link) hasLogged() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.logged = true
}

// forwardedBy returns what the MTA in front said about its client.
func (l *link) forwardedBy() forwarded {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.forwarded
}
