package doctor

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/smimerelay/smimerelay/internal/config"
)

// listeners connects to each listener as an MTA does.
func (x *examination) listeners(ctx context.Context) {
	for _, l := range x.config.Listeners {
		where := fmt.Sprintf("%s (%s %s)", l.Name, l.Protocol, l.Address)
		if strings.HasPrefix(l.Address, "systemd:") {
			x.add(Note, "listener", where, "is a socket of systemd, whose address is not known here", "systemctl list-sockets shows it")
			continue
		}
		if err := x.greeted(ctx, l); err != nil {
			x.add(Error, "listener", where, err.Error(), remedyForListener(err))
			continue
		}
		x.ok("listener", where, "smimerelay answers")
	}
}

var (
	errStranger = errors.New("another program answers")
	errSilent   = errors.New("no answer in time")
)

func remedyForListener(err error) string {
	switch {
	case errors.Is(err, errStranger):
		return "stop the other program, or choose another address for the listener"
	case errors.Is(err, fs.ErrPermission):
		return "run smimerelay doctor as root or as the user of the MTA; socket_mode and the group of the folder decide who may connect"
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, fs.ErrNotExist):
		return "start the gateway: systemctl start smimerelay; journalctl -u smimerelay says why it ended"
	}
	return "restart the gateway: systemctl restart smimerelay; journalctl -u smimerelay says more"
}

// greeted connects to a listener and speaks a little of its protocol.
func (x *examination) greeted(ctx context.Context, l config.Listener) error {
	ctx, cancel := context.WithTimeout(ctx, x.Timeout)
	defer cancel()
	conn, err := dial(ctx, l.Address)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if l.TLS == "implicit" {
		// Whether clients may trust the certificate is examined with the file.
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // G402: it only asks who answers
	}
	if l.Protocol == "milter" {
		err = negotiate(conn)
	} else {
		err = greet(conn, x.parts.Gateway.Hostname)
	}
	if ctx.Err() != nil {
		return errSilent
	}
	return err
}

// dial connects to "host:port" or "unix:/path". The error does not repeat the address.
func dial(ctx context.Context, address string) (net.Conn, error) {
	network, target := "tcp", config.Place(address)
	if path, ok := strings.CutPrefix(target, "unix:"); ok {
		network, target = "unix", path
	} else if host, port, err := net.SplitHostPort(target); err == nil && (host == "" || net.ParseIP(host).IsUnspecified()) {
		target = net.JoinHostPort("localhost", port)
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, target)
	if e, ok := errors.AsType[*net.OpError](err); ok {
		if sys, ok := errors.AsType[*os.SyscallError](e.Err); ok {
			return nil, sys.Err
		}
		return nil, e.Err
	}
	return conn, err
}

// greet wants the gateway's greeting (RFC 5321 section 4.3.1).
func greet(conn net.Conn, hostname string) error {
	line, err := bufio.NewReaderSize(io.LimitReader(conn, 1024), 1024).ReadString('\n')
	if err != nil {
		return fmt.Errorf("no greeting: %w", err)
	}
	if f := strings.Fields(line); len(f) < 2 || f[0] != "220" || f[1] != hostname {
		return fmt.Errorf("%w: %q instead of \"220 %s\"", errStranger, strings.TrimSpace(line), hostname)
	}
	_, err = io.WriteString(conn, "QUIT\r\n")
	return err
}

// negotiate wants the answer to SMFIC_OPTNEG of the milter protocol: a packet of 13
// octets that begins with "O".
func negotiate(conn net.Conn) error {
	offer := []byte{0, 0, 0, 13, 'O', 0, 0, 0, 6, 0, 0, 1, 0xff, 0, 0x1f, 0xff, 0xff}
	if _, err := conn.Write(offer); err != nil {
		return err
	}
	var head [5]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return fmt.Errorf("no answer of a milter: %w", err)
	}
	if head[4] != 'O' {
		return fmt.Errorf("%w: %q is no answer of a milter", errStranger, head[:])
	}
	return nil
}
