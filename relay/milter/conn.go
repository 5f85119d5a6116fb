package milter

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"github.com/emersion/go-milter"

	"github.com/smimerelay/smimerelay/relay/internal/wire"
)

const (
	// A packet begins with four octets of length and one of code.
	lengthSize = 4
	headerSize = lengthSize + 1
	// maxPacket is the largest packet that is taken, without its length.
	maxPacket = 1 << 20
	// bufferSize holds a message of usual size: it is read with one system call, and its
	// edits are written with one.
	bufferSize = 16 << 10
	// chunkSize holds the largest chunk of a body that MTAs send, with its code.
	chunkSize = 1 + 64<<10
)

// conn is a connection of an MTA.
type conn struct {
	net.Conn
	server *Server
	r      *bufio.Reader
	w      *bufio.Writer
	ctx    context.Context //nolint:containedctx // the life of the connection
	cancel context.CancelFunc

	session *session
	chunk   []byte // for packets that the buffer does not hold, while a message is under way

	mu       sync.Mutex
	busy     bool // a message is under way
	draining bool
}

func (s *Server) newConn(nc net.Conn) *conn {
	c := &conn{Conn: nc, server: s}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

// Run serves the connection to its end.
func (c *conn) Run() {
	defer c.Close()
	wire.GrowStack()
	c.r, c.w = c.server.readers.Get().(*bufio.Reader), c.server.writers.Get().(*bufio.Writer)
	c.r.Reset(c.Conn)
	c.w.Reset(c.Conn)
	defer func() {
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
	c.session = &session{conn: c, config: &c.server.config, quiet: o.protocol, actions: o.actions, exact: o.protocol&milter.OptHeaderLeadingSpace != 0}
	defer c.session.forget()
	_ = wire.Guard(log, "milter connection", func() error { // a panic is logged there
		c.serve(log)
		return nil
	})
}

// serve handles one packet after the other.
func (c *conn) serve(log *slog.Logger) {
	for {
		p, err := c.next()
		if err == nil {
			err = c.session.handle(p)
		}
		switch {
		case err == nil:
		case errors.Is(err, errQuit), errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed), errors.Is(err, os.ErrDeadlineExceeded):
			return // an end, and no error to log
		default:
			log.Warn("milter connection ended", "client", c.RemoteAddr().String(), "error", err)
			return
		}
	}
}

// errQuit says that the MTA is through.
var errQuit = errors.New("the MTA is through")

// next sends what was written and waits for a packet. Its data is that of the buffer,
// until next is called again.
func (c *conn) next() (packet, error) {
	if err := c.flush(); err != nil {
		return packet{}, err
	}
	if c.drained() {
		return packet{}, io.EOF
	}
	if err := c.wait(idle, lengthSize); err != nil {
		return packet{}, err
	}
	head, err := c.r.Peek(lengthSize)
	if err != nil {
		return packet{}, err
	}
	n := binary.BigEndian.Uint32(head)
	if n == 0 || n > maxPacket {
		return packet{}, fmt.Errorf("a packet of %d octets", n)
	}
	if _, err := c.r.Discard(lengthSize); err != nil {
		return packet{}, err
	}
	data, err := c.take(int(n))
	if err != nil {
		return packet{}, err
	}
	return packet{code: data[0], data: data[1:]}, nil
}

// take returns the next n octets: of the buffer if it holds as many.
func (c *conn) take(n int) ([]byte, error) {
	if err := c.wait(c.server.config.Limits.Read, n); err != nil {
		return nil, err
	}
	if n > c.r.Size() {
		data := c.large(n)
		_, err := io.ReadFull(c.r, data)
		return data, err
	}
	data, err := c.r.Peek(n)
	if err != nil {
		return nil, err
	}
	_, err = c.r.Discard(n)
	return data, err
}

// large returns memory for a packet of n octets, which is used for the next one, too.
func (c *conn) large(n int) []byte {
	if n > chunkSize {
		return make([]byte, n)
	}
	if c.chunk == nil {
		c.chunk = c.server.chunks.Get().(*[chunkSize]byte)[:]
	}
	return c.chunk[:n]
}

// leaveChunk leaves that memory to others.
func (c *conn) leaveChunk() {
	if c.chunk != nil {
		c.server.chunks.Put((*[chunkSize]byte)(c.chunk))
		c.chunk = nil
	}
}

// wait gives the MTA d to send n octets, if they are not there yet.
func (c *conn) wait(d time.Duration, n int) error {
	if c.r.Buffered() >= n {
		return nil
	}
	return c.SetReadDeadline(time.Now().Add(d))
}

// writePacket writes a packet into the buffer, which is sent before the next one is
// waited for.
func (c *conn) writePacket(p packet) error {
	if c.w.Available() < headerSize+len(p.data) {
		if err := c.SetWriteDeadline(time.Now().Add(c.server.config.Limits.Write)); err != nil {
			return err
		}
	}
	head := binary.BigEndian.AppendUint32(c.w.AvailableBuffer(), uint32(len(p.data)+1))
	if _, err := c.w.Write(append(head, p.code)); err != nil {
		return err
	}
	_, err := c.w.Write(p.data)
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

// Close ends the connection and the work on its message. Run calls it at its end,
// Shutdown when time is up.
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
