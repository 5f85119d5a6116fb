// Package smtpd is the adapter on go-smtp: the stand-alone SMTP relay, which
// accepts into the queue, and the LMTP server behind a content filter, which
// delivers at once and answers for every recipient (RFC 5321, RFC 2033). It
// knows SMTP, and no policy.
//
// The library is kept on a short lead. Addresses reach it unquoted and are
// parsed and quoted again; a connection that ends inside a message is noticed
// below it; its deadlines are replaced by ours; nothing but the replies of
// relay.ReplyFor reaches the peer; and TLS is put under it rather than inside,
// so that all of this holds for secured connections too.
package smtpd

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/emersion/go-smtp"
	"golang.org/x/sync/semaphore"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/internal/wire"
	"github.com/smimerelay/smimerelay/smime/address"
)

// Limits bound what peers may do; zero fields have defaults.
type Limits = wire.Limits

// defaultErrors is how many negative replies an SMTP client gets before we hang
// up. LMTP has no limit: a list of recipients may well be refused one by one.
const defaultErrors = 100

// Config says how to serve.
type Config struct {
	// Listener is the name that envelopes carry.
	Listener string
	// Hostname is our name in the greeting and in Received fields.
	Hostname string
	// Postmaster is whom a recipient "postmaster" without a domain means; null is
	// postmaster at Hostname.
	Postmaster address.Address
	// Contact is whom to ask about a refusal (see relay.Help); "" is no one.
	Contact string
	// AllowRouted takes recipients without a domain and with a source route.
	AllowRouted bool
	// Forwarders are the networks of MTAs that may say by XFORWARD who their
	// client is. With LMTP those on this host may, too.
	Forwarders []netip.Prefix
	// Proxies are the networks of proxies, which must say with the PROXY protocol for
	// whom they connect; no other peer may.
	Proxies []netip.Prefix
	// XClient are the networks of proxies that may say by XCLIENT who their client is.
	XClient []netip.Prefix
	// LMTP asks for LMTP instead of SMTP.
	LMTP bool
	// Handler decides on messages.
	Handler relay.Handler
	// Queue takes what SMTP accepts.
	Queue relay.Queue
	// Deliverer takes what LMTP accepts.
	Deliverer relay.Deliverer
	// TLS offers STARTTLS; nil does not. Implicit starts TLS at once instead (RFC 8314).
	TLS      *tls.Config
	Implicit bool
	// Identify returns the name under which the holder of a client certificate is
	// admitted; "" is not. Nil admits none. The client is authenticated by it without
	// AUTH EXTERNAL, too.
	Identify func(tls.ConnectionState) string
	// Passwords checks what clients log in with by AUTH PLAIN and LOGIN (RFC 4954); nil
	// offers neither. AuthInClear offers them without TLS, too.
	Passwords   Passwords
	AuthInClear bool
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

// Server serves SMTP or LMTP on any number of listeners.
type Server struct {
	config   Config
	acceptor wire.Acceptor
	helpers  *semaphore.Weighted // deliveries beside those of the sessions
	failures *failures           // of logins
	// pause waits, or until ctx ends.
	pause func(ctx context.Context, d time.Duration)
}

// NewServer returns a Server.
func NewServer(c Config) *Server {
	if c.Limits.Errors == 0 && !c.LMTP {
		c.Limits.Errors = defaultErrors
	}
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
	s := &Server{config: c, helpers: semaphore.NewWeighted(maxHelpers), failures: newFailures(c.Clock), pause: pause}
	s.acceptor.Limits = c.Limits
	s.acceptor.Exempt = s.config.exempt
	s.acceptor.New = s.newClient
	s.acceptor.Busy = s.busy
	return s
}

// Serve accepts connections on ln and closes it at the end. It returns
// net.ErrClosed after Shutdown.
func (s *Server) Serve(ln net.Listener) error { return s.acceptor.Serve(ln) }

// Shutdown stops accepting, lets the messages under way be answered, and ends
// all connections; when ctx is done first it cuts them and returns the
// context's error.
func (s *Server) Shutdown(ctx context.Context) error { return s.acceptor.Shutdown(ctx) }

// busy turns a connection away (RFC 5321 section 3.8). The line fits into the
// socket's buffer, so that a peer that reads nothing blocks no other.
func (s *Server) busy(nc net.Conn) {
	if s.config.Implicit {
		return // the peer waits for TLS
	}
	if err := nc.SetWriteDeadline(time.Now().Add(time.Second)); err == nil {
		_, _ = io.WriteString(nc, closing(fault.Closing, s.config.Hostname+" too many connections, try again later"))
	}
}

// library returns the go-smtp server for one connection. It has no time-outs of
// its own, for it would apply one deadline to a whole DATA; the link has them.
func (s *Server) library(secured bool, be smtp.Backend) *smtp.Server {
	srv := smtp.NewServer(be)
	srv.LMTP = s.config.LMTP
	srv.Domain = s.config.Hostname
	srv.MaxRecipients = s.config.Limits.Recipients
	// The library refuses a message of exactly this size.
	srv.MaxMessageBytes = int64(s.config.Limits.MessageSize) + 1
	// Its limit holds for the lines of a message as well, and answers with a
	// permanent error; the link limits command lines only.
	srv.MaxLineLength = 0
	srv.EnableSMTPUTF8 = true
	srv.EnableDSN = true
	srv.ErrorLog = logger{s.config.Log.With("listener", s.config.Listener)}
	if !secured {
		srv.TLSConfig = s.config.TLS
	}
	return srv
}

// logger passes the library's complaints on.
type logger struct{ log *slog.Logger }

func (l logger) Printf(format string, v ...any) {
	l.log.Warn("SMTP library", "error", fmt.Sprintf(format, v...))
}
func (l logger) Println(v ...any) { l.log.Warn("SMTP library", "error", fmt.Sprint(v...)) }
