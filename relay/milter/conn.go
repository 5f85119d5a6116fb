package milter

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/emersion/go-milter"
)

const (
	// bufferSize is one packet of the protocol: a message of usual size is read
	// with one system call, and its edits are written with one.
	bufferSize = 64 << 10
	// headerSize is that of a packet: four octets of length, one of code.
	headerSize = 5
	// maxPacket is the largest packet that the library takes.
	maxPacket = 1 << 20
)

// conn is the connection as the library sees it.
type conn struct {
	net.Conn
	server *Server
	r      *bufio.Reader
	w      *bufio.Writer
	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{} // closed when the library is through

	session *session
	packet  int    // octets left of the packet that is being read
	prefix  []byte // octets of our own that the library reads first

	mu       sync.Mutex
	busy     bool // a message is under way
	draining bool
	once     sync.Once
}

func (s *Server) newConn(nc net.Conn) *conn {
	c := &conn{Conn: nc, server: s, done: make(chan struct{})}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

// Run serves the connection to its end.
func (c *conn) Run() {
	defer c.cancel()
	c.r, c.w = c.server.readers.Get().(*bufio.Reader), c.server.writers.Get().(*bufio.Writer)
	c.r.Reset(c.Conn)
	c.w.Reset(c.Conn)
	defer func() {
		// The library is through with them.
		c.r.Reset(nil)
		c.w.Reset(nil)
		c.server.readers.Put(c.r)
		c.server.writers.Put(c.w)
	}()
	log := c.server.config.Log.With("listener", c.server.config.Listener)
	o, err := c.negotiate()
	if err != nil {
		if !errors.Is(err, io.EOF) {
			log.Warn("milter negotiation failed", "client", c.RemoteAddr().String(), "error", err)
		}
		return
	}
	c.session = &session{conn: c, config: &c.server.config, log: log, quiet: o.protocol, actions: o.actions, exact: o.protocol&milter.OptHeaderLeadingSpace != 0}
	defer c.session.forget()
	lib := &milter.Server{
		NewMilter: func() milter.Milter { return c.session },
		Actions:   o.actions, Protocol: o.protocol, SymList: macros,
	}
	// Serve fails at its second Accept and leaves the connection to a
	// goroutine, which closes it at its end.
	if err := lib.Serve(&single{conn: c}); !errors.Is(err, errSingle) {
		log.Error("connection failed", "error", err)
	}
	<-c.done
}

// Read gives the library whole packets, one after the other. Before it waits
// for the MTA it sends what was written.
func (c *conn) Read(p []byte) (int, error) {
	if c.packet == 0 && len(c.prefix) == 0 {
		if err := c.next(); errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded) {
			return 0, io.EOF // between packets that is an end, and no error to log
		} else if err != nil {
			return 0, err
		}
	}
	if len(c.prefix) > 0 {
		n := copy(p, c.prefix)
		c.prefix = c.prefix[n:]
		return n, nil
	}
	if err := c.wait(c.server.config.Limits.Read, 1); err != nil {
		return 0, err
	}
	n, err := c.r.Read(p[:min(len(p), c.packet)])
	c.packet -= n
	return n, err
}

// next waits for a packet and looks at its header.
func (c *conn) next() error {
	if err := c.flush(); err != nil {
		return err
	}
	if c.drained() {
		return io.EOF
	}
	if err := c.wait(idle, headerSize); err != nil {
		return err
	}
	head, err := c.r.Peek(headerSize)
	if err != nil {
		return err
	}
	n, code := int(binary.BigEndian.Uint32(head)), milter.Code(head[4])
	switch {
	case code == milter.CodeEOB && n > 1 && n <= maxPacket:
		return c.endOfBody(n - 1)
	case (code == milter.CodeMail || code == milter.CodeRcpt) && n > 1 && n <= maxCommand:
		if err := c.keepArguments(n); err != nil {
			return err
		}
	}
	// A length that the library refuses is left for it to see.
	c.packet = 4 + min(n, maxPacket)
	return nil
}

// keepArguments looks at a whole MAIL or RCPT packet before the library does.
func (c *conn) keepArguments(n int) error {
	if err := c.wait(c.server.config.Limits.Read, 4+n); err != nil {
		return err
	}
	p, err := c.r.Peek(4 + n)
	if err != nil {
		return err
	}
	c.session.args = arguments(p[headerSize:])
	return nil
}

// endOfBody reads a chunk that came with the end of the body, as the protocol
// allows: the library would drop it. The library gets the bare end.
func (c *conn) endOfBody(n int) error {
	chunk := make([]byte, n)
	if _, err := c.r.Discard(headerSize); err != nil {
		return err
	}
	if err := c.wait(c.server.config.Limits.Read, n); err != nil {
		return err
	}
	if _, err := io.ReadFull(c.r, chunk); err != nil {
		return err
	}
	c.session.body(chunk)
	c.prefix = []byte{0, 0, 0, 1, byte(milter.CodeEOB)}
	return nil
}

// wait gives the MTA d to send n octets, if they are not there yet.
func (c *conn) wait(d time.Duration, n int) error {
	if c.r.Buffered() >= n {
		return nil
	}
	return c.SetReadDeadline(time.Now().Add(d))
}

// Write keeps p until the next Read.
func (c *conn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.server.config.Limits.Write)); err != nil {
		return 0, err
	}
	return c.w.Write(p)
}

// writePacket writes one packet of our own.
func (c *conn) writePacket(p packet) error {
	var head [headerSize]byte
	binary.BigEndian.PutUint32(head[:], uint32(len(p.data)+1))
	head[4] = p.code
	if _, err := c.Write(head[:]); err != nil {
		return err
	}
	_, err := c.Write(p.data)
	return err
}

func (c *conn) flush() error {
	if c.w.Buffered() == 0 {
		return nil
	}
	if err := c.SetWriteDeadline(time.Now().Add(c.server.config.Limits.Write)); err != nil {
		return err
	}
	return c.w.Flush()
}

// Close ends the connection and the work on its message. The library calls it
// when it is through, Shutdown when time is up.
func (c *conn) Close() error {
	c.cancel()
	return c.Conn.Close()
}

// Drain ends the connection as soon as no message is under way on it.
func (c *conn) Drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.draining = true
	if !c.busy {
		_ = c.Close() // there is no one to report it to
	}
}

func (c *conn) drained() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.draining && !c.busy
}

func (c *conn) setBusy(busy bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy = busy
}

var errSingle = errors.New("connection refused: too many connections")

// single is a listener that has one connection; it tells when the library has
// closed it.
type single struct {
	conn *conn
	once sync.Once
}

func (s *single) Accept() (nc net.Conn, err error) {
	err = errSingle
	s.once.Do(func() { nc, err = library{s.conn}, nil })
	return nc, err
}

func (s *single) Close() error   { return nil }
func (s *single) Addr() net.Addr { return s.conn.LocalAddr() }

// library is the conn in the hands of the library: its Close says that the
// library is through.
type library struct{ *conn }

func (l library) Close() error {
	defer l.once.Do(func() { close(l.done) })
	return l.conn.Close()
}
