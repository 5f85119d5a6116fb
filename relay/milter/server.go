// Package milter is a filter that an MTA asks before
// it queues a message. It knows the milter protocol, and no policy.
//
// A message that keeps one form for all its recipients is edited in place. One
// that needs several forms goes to our own queue, all copies at once, and the
// MTA is asked to discard the original: a mix of both would send mail twice when
// something fails between them.
//
// Of the library it uses the names of the protocol. The library's server has no
// time-outs, forgets a session at the end of its first message, and spends more on a
// packet than this package on what is in it.
package milter

import (
	"bufio"
	"context"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/internal/wire"
)

// Limits bound what an MTA may send; zero fields have defaults.
type Limits = wire.Limits

// Config says how to serve.
type Config struct {
	// Listener is the name that envelopes carry.
	Listener string
	// Hostname completes addresses without a domain when the MTA does not
	// tell its own name.
	Hostname string
	// Contact is whom to ask about a refusal (see relay.Help); "" is no one.
	Contact string
	// AllowRouted takes recipients without a domain and with a source route.
	AllowRouted bool
	// Handler decides on messages.
	Handler relay.Handler
	// Queue takes notices, reports, and messages that need several forms.
	Queue relay.Queue
	// Limits bound each connection and their number.
	Limits Limits
	// Memory is the budget, in octets, for messages in work, shared by all
	// listeners; nil is no limit.
	Memory *relay.Memory
	// Meter counts what clients are answered; nil counts nothing.
	Meter relay.Meter
	// Log is where failures go; nil is slog.Default.
	Log *slog.Logger
	// Clock tells the time; nil is time.Now.
	Clock func() time.Time
}

// Server serves MTAs on any number of listeners.
type Server struct {
	config   Config
	acceptor wire.Acceptor
	// An MTA opens a connection for each of its clients: their buffers are
	// used again.
	readers, writers, chunks sync.Pool
}

// NewServer returns a Server.
func NewServer(c Config) *Server {
	c.Limits = c.Limits.Defaults()
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Meter == nil {
		c.Meter = wire.Uncounted{}
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	s := &Server{config: c}
	s.acceptor.Limits = c.Limits
	s.acceptor.New = func(nc net.Conn) wire.Conn { return s.newConn(nc) }
	s.chunks.New = func() any { return new([chunkSize]byte) }
	s.readers.New = func() any { return bufio.NewReaderSize(nil, bufferSize) }
	s.writers.New = func() any { return bufio.NewWriterSize(nil, bufferSize) }
	return s
}

// Serve accepts connections on ln and closes it at the end. It returns
// net.ErrClosed after Shutdown.
func (s *Server) Serve(ln net.Listener) error { return s.acceptor.Serve(ln) }

// Shutdown stops accepting, lets the messages under way be answered, and ends
// all connections; when ctx is done first it cuts them and returns the
// context's error.
func (s *Server) Shutdown(ctx context.Context) error { return s.acceptor.Shutdown(ctx) }

// idle is how long an MTA may be silent between two packets. It says nothing
// while its client takes its time over a message, so that the five minutes of
// SMTP are not enough; two hours are the custom of the protocol's reference
// implementation.
const idle = 7210 * time.Second
