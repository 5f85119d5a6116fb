package directory

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// resolver asks one validating resolver over TCP or TLS, where answers have no
// size limit worth the name and no one off the path can put one in.
type resolver struct {
	address string
	tls     *tls.Config // nil: plain, to loopback
	timeout time.Duration
}

func newResolver(cfg SMIMEAConfig) (*resolver, []error) {
	r := &resolver{timeout: cfg.Timeout}
	host, secure := strings.CutPrefix(cfg.Resolver, "tls://")
	port := "53"
	if secure {
		port = "853"
	}
	name, given, err := net.SplitHostPort(host)
	if err != nil {
		name, given = strings.Trim(host, "[]"), port
	}
	r.address = net.JoinHostPort(name, given)
	if !secure {
		if ip := net.ParseIP(name); !ip.IsLoopback() {
			return r, []error{fmt.Errorf("resolver %q: only trusted on a loopback address or over tls://", cfg.Resolver)}
		}
		return r, nil
	}
	if name == "" {
		return r, []error{fmt.Errorf("resolver %q: no host", cfg.Resolver)}
	}
	var errs []error
	r.tls, errs = tlsConfig(cfg.CA, "", "")
	r.tls.ServerName = name
	return r, errs
}

// errBogus is SERVFAIL, which is what a validating resolver says of a signature
// that is not good (RFC 4035 section 5.5).
var errBogus = errors.New("the resolver failed, or the answer is bogus (SERVFAIL)")

// ask returns the answer, also if it is that there is nothing.
func (r *resolver) ask(ctx context.Context, name dnsmessage.Name, kind dnsmessage.Type) (*dnsmessage.Message, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	question := dnsmessage.Question{Name: name, Type: kind, Class: dnsmessage.ClassINET}
	id, packed, err := query(question)
	if err != nil {
		return nil, err
	}
	reply, err := r.exchange(ctx, packed)
	if err != nil {
		return nil, err
	}
	var m dnsmessage.Message
	if err := m.Unpack(reply); err != nil {
		return nil, fmt.Errorf("answer: %w", err)
	}
	return &m, checkAnswer(&m, id, question)
}

func checkAnswer(m *dnsmessage.Message, id uint16, q dnsmessage.Question) error {
	if m.ID != id || !m.Response || m.Truncated || len(m.Questions) != 1 ||
		!strings.EqualFold(m.Questions[0].Name.String(), q.Name.String()) || m.Questions[0].Type != q.Type {
		return errors.New("answer to another question")
	}
	switch m.RCode {
	case dnsmessage.RCodeSuccess, dnsmessage.RCodeNameError:
		return nil
	case dnsmessage.RCodeServerFailure:
		return errBogus
	}
	return fmt.Errorf("resolver answered %s", m.RCode)
}

// query packs a question with the AD bit (RFC 6840 section 5.7: tell us whether
// you validated) and EDNS.
func query(q dnsmessage.Question) (id uint16, packed []byte, err error) {
	var random [2]byte
	if _, err := rand.Read(random[:]); err != nil {
		return 0, nil, err
	}
	id = binary.BigEndian.Uint16(random[:])
	var opt dnsmessage.ResourceHeader
	if err := opt.SetEDNS0(1232, dnsmessage.RCodeSuccess, false); err != nil {
		return 0, nil, err
	}
	m := dnsmessage.Message{
		Header:      dnsmessage.Header{ID: id, RecursionDesired: true, AuthenticData: true},
		Questions:   []dnsmessage.Question{q},
		Additionals: []dnsmessage.Resource{{Header: opt, Body: &dnsmessage.OPTResource{}}},
	}
	packed, err = m.Pack()
	return id, packed, err
}

// exchange sends one message and reads one, each after its length (RFC 1035
// section 4.2.2).
func (r *resolver) exchange(ctx context.Context, message []byte) ([]byte, error) {
	conn, err := r.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline() // ask has set one
	if err := conn.SetDeadline(deadline); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	framed := binary.BigEndian.AppendUint16(nil, uint16(len(message)))
	if _, err := conn.Write(append(framed, message...)); err != nil {
		return nil, err
	}
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return nil, err
	}
	reply := make([]byte, binary.BigEndian.Uint16(length[:]))
	_, err = io.ReadFull(conn, reply)
	return reply, err
}

func (r *resolver) dial(ctx context.Context) (net.Conn, error) {
	if r.tls == nil {
		return new(net.Dialer).DialContext(ctx, "tcp", r.address)
	}
	return (&tls.Dialer{Config: r.tls}).DialContext(ctx, "tcp", r.address)
}
