package smtpd

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// maxCommand is the longest command line that we read: RFC 5321 section
// 4.5.3.1.4 says 512 octets, which the extensions raise; none of them comes
// near this.
const maxCommand = 12 << 10

var errLongLine = errors.New("command line too long")

// link is the connection as the library sees it. Everything passes here in the
// clear, also under TLS.
type link struct {
	net.Conn
	client *client
	tls    *tls.ConnectionState // nil: in the clear

	mu       sync.Mutex
	greeted  bool
	upgrade  bool      // STARTTLS was answered: the library is to find an end
	ended    bool      // a read failed: nothing more will come
	message  bool      // a message is being received or worked on
	reading  bool      // it is still being received
	chunk    bool      // the last reply asked for its next chunk (BDAT)
	until    time.Time // when the message must have arrived
	scan     scanner   // of DATA
	data     bool      // DATA was answered with 354
	line     int       // octets in the current command line
	errors   int
	draining bool
	closed   bool
}

func (c *client) newLink(nc net.Conn, t *tls.ConnectionState) *link {
	return &link{Conn: nc, client: c, tls: t}
}

// Read reads, with the deadline that holds now, and notes how the stream goes.
func (l *link) Read(p []byte) (int, error) {
	if err := l.beforeRead(); err != nil {
		return 0, err
	}
	n, err := l.Conn.Read(p)
	return n, l.afterRead(p[:n], err)
}

func (l *link) beforeRead() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.upgrade || l.ended {
		return io.EOF
	}
	return l.Conn.SetReadDeadline(deadline(time.Now(), l.client.server.config.Limits.Read, l.until))
}

func (l *link) afterRead(p []byte, err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.ended = true
		return err
	}
	if l.data {
		l.scan.write(p)
	}
	if l.message {
		l.line = 0
		return nil
	}
	if i := bytes.LastIndexByte(p, '\n'); i >= 0 {
		l.line = len(p) - 1 - i
	} else {
		l.line += len(p)
	}
	if l.line > maxCommand {
		l.ended = true
		return errors.Join(errLongLine, l.hangUp("500 5.5.2 line too long\r\n"))
	}
	return nil
}

// Write sends a reply line; the library writes one at a time.
func (l *link) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	code := replyCode(p)
	switch {
	case l.upgrade:
		return len(p), nil // to the void: the peer speaks TLS now
	case l.tls != nil && !l.greeted:
		l.greeted = true
		return len(p), nil // RFC 3207 section 4.2: no greeting after STARTTLS
	}
	n, err := l.send(p)
	if err != nil {
		return n, err
	}
	l.chunk = bytes.HasSuffix(p, []byte(" Continue\r\n"))
	switch {
	case code == "220" && l.greeted:
		// The one other 220 is the go-ahead to STARTTLS (RFC 3207 section 4).
		l.upgrade = true
	case code == "220":
		l.greeted = true
	case code == "354":
		l.data, l.scan = true, scanner{}
	case code == "421":
		return n, l.hangUp("")
	case code != "" && (code[0] == '4' || code[0] == '5'):
		l.errors++
		if limit := l.client.server.config.Limits.Errors; limit > 0 && l.errors > limit {
			return n, l.hangUp("421 4.7.0 too many errors\r\n")
		}
	}
	return n, nil
}

func (l *link) send(p []byte) (int, error) {
	if err := l.Conn.SetWriteDeadline(time.Now().Add(l.client.server.config.Limits.Write)); err != nil {
		return 0, err
	}
	return l.Conn.Write(p)
}

// hangUp says last, if there is something to say, and ends the connection.
func (l *link) hangUp(last string) error {
	if l.closed {
		return nil
	}
	l.closed = true
	if last != "" {
		if _, err := l.send([]byte(last)); err != nil {
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

// begin notes that a message starts to arrive.
func (l *link) begin(until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.message, l.reading, l.until, l.line = true, true, until, 0
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
// with bare line ends may be part of it for somebody else: it is not read. After
// a message that was given up between two BDAT, the library may take its result
// for that of the next one: there is no next one.
func (l *link) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	bare, midway := l.scan.bare, l.reading || l.chunk
	l.message, l.reading, l.data, l.until, l.scan = false, false, false, time.Time{}, scanner{}
	switch {
	case l.draining:
		l.goodbye()
	case bare:
		_ = l.hangUp("421 4.7.0 bare CR or LF, closing the connection\r\n")
	case midway:
		_ = l.hangUp("421 4.5.0 message given up, closing the connection\r\n")
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
func (l *link) goodbye() { _ = l.hangUp("421 4.3.2 shutting down, try again later\r\n") }

func replyCode(p []byte) string {
	if len(p) < 4 || p[3] != ' ' {
		return "" // not the last line of a reply
	}
	return string(p[:3])
}
