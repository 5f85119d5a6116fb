package smtpclient

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/pemfile"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime/message"
)

// setup is a Config with one server.
type setup struct {
	Config

	Address, TLS, CA string
	// Those of Config that the tests write most.
	Hostname string
	Timeout  time.Duration
	SevenBit func(*message.Message) (*message.Message, error)
	Log      *slog.Logger
}

// single is a relay.Deliverer with one server.
type single struct {
	*Client
	host Host
}

func connect(tb testing.TB, s setup) *single {
	tb.Helper()
	c := s.Config
	c.Hostname, c.Timeout, c.SevenBit, c.Log = s.Hostname, s.Timeout, s.SevenBit, s.Log
	cl := &single{Client: New(c), host: Host{Address: s.Address}}
	switch s.TLS {
	case "", "opportunistic":
		cl.host.TLS = Opportunistic("")
	case "encrypted":
		cl.host.TLS = Encrypted("")
	case "require":
		cl.host.TLS = Verified("127.0.0.1", nil, "")
		if s.CA != "" {
			roots, err := pemfile.Pool(s.CA)
			if err != nil {
				tb.Fatal(err)
			}
			cl.host.TLS = Verified("127.0.0.1", roots, s.CA)
		}
	}
	return cl
}

// Deliver implements relay.Deliverer.
func (s *single) Deliver(ctx context.Context, d relay.Delivery) ([]error, []bool) {
	t := NewTransfer(d)
	s.Client.Deliver(ctx, s.host, t)
	return t.Results()
}
