package dns

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

	"golang.org/x/net/dns/dnsmessage"
)

func checkAnswer(m *dnsmessage.Message, id uint16, q dnsmessage.Question) error {
	if m.ID != id || !m.Response || m.Truncated || len(m.Questions) != 1 ||
		!strings.EqualFold(m.Questions[0].Name.String(), q.Name.String()) || m.Questions[0].Type != q.Type {
		return errors.New("answer to another question")
	}
	switch m.RCode {
	case dnsmessage.RCodeSuccess, dnsmessage.RCodeNameError:
		return nil
	case dnsmessage.RCodeServerFailure:
		return ErrBogus
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
func (r *Resolver) exchange(ctx context.Context, message []byte) ([]byte, error) {
	conn, err := r.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline() // Ask has set one
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

func (r *Resolver) dial(ctx context.Context) (net.Conn, error) {
	if r.tls == nil {
		return new(net.Dialer).DialContext(ctx, "tcp", r.address)
	}
	return (&tls.Dialer{Config: r.tls}).DialContext(ctx, "tcp", r.address)
}
