package smtpd

import (
	"bufio"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/smimerelay/smimerelay/internal/fault"
)

// maxCommand is the longest command line that we read: RFC 5321 section
// 4.5.3.1.4 says 512 octets, which the extensions raise; none of them comes
// near this.
const maxCommand = 12 << 10

// reader gives the library what the peer sent, in pieces: one command line, octets of
// one BDAT chunk, or the end of the message of DATA, never two of them. So every command
// passes the guard while the library has nothing else to work on, and nothing is read
// ahead of it.
type reader struct {
	in      *bufio.Reader
	pending []byte  // what the library has not read yet of a command line, or of the end of a message
	chunk   int64   // octets left of a BDAT chunk
	text    content // of DATA

	refusedBy time.Time // when a chunk that is of no message must have come
}

// rooms are those of readers, which are used again: MTAs open a connection for each message,
// and this was a sixth of what one of 5 kB had allocated.
var rooms = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, maxCommand) }}

func (r *reader) init(src io.Reader) {
	r.in = rooms.Get().(*bufio.Reader)
	r.in.Reset(src)
}

// free gives the room of the reader to others. Nothing may read any more.
func (r *reader) free() {
	r.in.Reset(nil)
	rooms.Put(r.in)
	r.in = nil
}

// Read reads, with the deadline that holds now, and notes how the stream goes.
func (l *link) Read(p []byte) (int, error) {
	data, err := l.beforeRead()
	if err != nil || len(p) == 0 {
		return 0, err
	}
	switch {
	case len(l.pending) > 0:
	case data:
		if err := l.receive(io.Discard); err != nil { // the session had no use for it
			return 0, err
		}
	case l.chunk > 0:
		n, err := l.in.Read(p[:min(int64(len(p)), l.chunk)])
		l.chunk -= int64(n)
		l.count(n)
		return n, l.failed(err)
	default:
		if err := l.nextCommand(); err != nil {
			return 0, err
		}
	}
	n := copy(p, l.pending)
	l.pending = l.pending[n:]
	return n, nil
}

// beforeRead sets the deadline, sends what must not wait for what is read, and tells
// whether DATA is being received.
func (l *link) beforeRead() (data bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.upgrade || l.ended || l.closed {
		// After QUIT, too: the library would go on, without its session.
		return false, io.EOF
	}
	if l.overtime() {
		l.ended = true
		_ = l.hangUp(closing(fault.Closing, "the session has lasted too long, closing the connection"))
		return false, io.EOF
	}
	if err := l.release(); err != nil {
		return false, err
	}
	return l.data, l.Conn.SetReadDeadline(deadline(time.Now(), l.client.server.config.Limits.Read, l.due()))
}

// overtime reports whether the connection is to be closed for its age. A message that has
// begun to arrive is not cut off: it has a limit of its own.
func (l *link) overtime() bool {
	limit := l.client.server.config.Limits.Session
	return limit > 0 && !l.message && time.Since(l.client.since) >= limit
}

// due is when more of the message must have come: by its limit, and by the lowest rate.
func (l *link) due() time.Time {
	if l.chunk > 0 && !l.reading {
		return l.refusedBy // the library reads a chunk that it refuses
	}
	rate := l.client.server.config.Limits.Rate
	if rate <= 0 || !l.reading {
		return l.until
	}
	allowed := l.client.server.config.Limits.Grace + time.Duration(float64(l.octets)/float64(rate)*float64(time.Second))
	return deadline(l.started, allowed, l.until)
}

// count notes that octets of a message have come.
func (l *link) count(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.octets += int64(n)
}

// failed notes that nothing more will come.
func (l *link) failed(err error) error {
	if err == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	return err
}

// receive reads the message of DATA to its end, and nothing beyond, and writes it to w as
// it was before dots were added. The library gets the end alone: it would take the message
// octet by octet.
func (l *link) receive(w io.Writer) error {
	for {
		if l.in.Buffered() == 0 {
			if _, err := l.beforeRead(); err != nil {
				return err
			}
		}
		if _, err := l.in.Peek(1); err != nil {
			return l.failed(err)
		}
		data, _ := l.in.Peek(l.in.Buffered())
		n, ended, err := l.text.copy(w, data)
		l.seen(data[:n], ended)
		_, _ = l.in.Discard(n) // it is buffered
		if err != nil {
			return err
		}
		if ended {
			l.pending = append(l.pending[:0], ".\r\n"...)
			return nil
		}
	}
}

// seen notes octets of the message of DATA.
func (l *link) seen(data []byte, ended bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.scan.write(data)
	l.octets += int64(len(data))
	if ended {
		l.reading = false
	}
}

// nextCommand reads lines until there is one for the library.
func (l *link) nextCommand() error {
	for {
		line, err := l.in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			_ = l.refuseLine(fault.Narrow(fault.Malformed, fault.LongLine, "line too long", nil))
			return io.EOF
		}
		if err != nil {
			return l.failed(err)
		}
		c := parseCommand(string(line), l.client.server.config.paths())
		l.take(&c)
		if c.isHTTP() {
			_ = l.refuseLine(fault.Narrow(fault.Malformed, fault.Syntax, "this is not a web server, closing the connection", nil))
			return io.EOF
		}
		if l.answers(&c) {
			if err := l.ours(c); err != nil {
				return err
			}
			continue
		}
		if c.verb == "BDAT" {
			size, ok := c.chunk()
			if !ok {
				// What follows would be taken for commands.
				_ = l.refuseLine(fault.Narrow(fault.Malformed, fault.Parameter, "BDAT: size is not valid, closing the connection", nil))
				return io.EOF
			}
			l.chunk, l.refusedBy = size, time.Now().Add(l.client.server.config.Limits.Message)
		}
		l.pending = append([]byte(c.plain()), "\r\n"...)
		return nil
	}
}

// answers reports whether the link answers a command by itself: extensions that the library
// does not have, and what is no command. The library would close the connection after a few
// of those, whatever the limit is, and not say so by 421.
func (l *link) answers(c *command) bool {
	switch c.verb {
	case "", "XFORWARD", "XCLIENT", "AUTH":
		return true
	}
	return !c.known()
}

// ours answers a command that the library does not see, and prepares to read the next.
func (l *link) ours(c command) error {
	answer, ok := map[string]func(string) error{"XFORWARD": l.forward, "XCLIENT": l.xclient, "AUTH": l.authenticate}[c.verb]
	if !ok {
		answer = l.unknown
	}
	if err := answer(c.args); err != nil {
		return err
	}
	_, err := l.beforeRead()
	return err
}

// unknown answers a line that is no command. It does not repeat it: that may be a password.
func (l *link) unknown(string) error {
	return l.answer(l.refusal(fault.Narrow(fault.Malformed, fault.UnknownCommand, "command not recognized", nil)))
}

// refuseLine answers a line that leaves no way to go on. Its error is of no use:
// the connection ends.
func (l *link) refuseLine(why error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	reply := l.refusal(why)
	l.logRefusal(reply)
	return l.hangUp(reply)
}

// take makes c the command in hand. After AUTH was refused, what is no command is what
// a client says that has not waited for that.
func (l *link) take(c *command) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.known() {
		l.secret = false
	} else if l.secret {
		c.hide()
	}
	l.command, l.answered, l.logged = *c, false, false
}

// taken returns the command in hand if it is the one that the library asks
// about, and has not asked before.
func (l *link) taken(verb string) (command, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.command.verb != verb || l.answered {
		return command{}, false
	}
	l.answered = true
	return l.command, true
}
