package directory

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"

	"github.com/smimerelay/smimerelay/internal/pemfile"
)

// dialer makes bound connections.
type dialer struct {
	tls          *tls.Config
	startTLS     bool
	external     bool
	bindDN       string
	passwordFile string
	password     string // in the place of that of the file
	// answers bounds the octets of all answers on one connection; 0 is maxOperation for each
	// operation.
	answers int64
	// connect opens a connection; nil uses the network.
	connect func(ctx context.Context, network, address string) (net.Conn, error)
}

// newDialer returns a dialer, or all that is wrong with cfg.
func newDialer(cfg LDAPConfig) (*dialer, []error) {
	d := &dialer{
		startTLS:     cfg.StartTLS,
		external:     cfg.External,
		bindDN:       cfg.BindDN,
		passwordFile: cfg.PasswordFile,
	}
	var errs []error
	d.tls, errs = tlsConfig(cfg.CA, cfg.ClientCertificate, cfg.ClientKey)
	if (cfg.BindDN == "") != (cfg.PasswordFile == "") {
		errs = append(errs, wrong("bind_dn", errors.New("bind_dn and password_file go together"), "set both, or neither"))
	}
	if cfg.External && cfg.BindDN != "" {
		errs = append(errs, wrong("sasl_external", errors.New("does not go with bind_dn"), "remove one of the two"))
	}
	if cfg.PasswordFile != "" {
		_, err := readPassword(cfg.PasswordFile)
		errs = append(errs, wrong("password_file", err, "write the password into the file, and check who may read it"))
	}
	return d, errs
}

// tlsConfig returns how to speak TLS to a server that bears a certificate of one
// of the authorities in the file ca; "" is those of the system.
func tlsConfig(ca, certificate, key string) (*tls.Config, []error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	var errs []error
	if ca != "" {
		var err error
		if cfg.RootCAs, err = pemfile.Pool(ca); err != nil {
			errs = append(errs, wrong("ca", err, "name a PEM file with the certificates of the CA"))
		}
	}
	if certificate != "" || key != "" {
		pair, err := pemfile.KeyPair(certificate, key)
		if err != nil {
			errs = append(errs, wrong("client_certificate", err, "name a PEM file with the chain, and in client_key the key of its first certificate"))
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	return cfg, errs
}

// conn is a bound connection. Operations may share it.
type conn struct {
	ldap   *ldap.Conn
	socket net.Conn
	guard  *guardedConn
	end    sync.Once
}

// dial connects to t and binds, within ctx.
func (d *dialer) dial(ctx context.Context, t target) (*conn, error) {
	connect := d.connect
	if connect == nil {
		connect = new(net.Dialer).DialContext
	}
	socket, err := connect(ctx, t.network, t.address)
	if err != nil {
		return nil, err
	}
	c := &conn{socket: socket}
	if err := c.within(ctx, func() error { return d.setUp(ctx, c, t) }); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

func (d *dialer) setUp(ctx context.Context, c *conn, t target) error {
	plain := c.socket
	stream := plain
	if t.tls || d.startTLS && t.network != "unix" {
		if !t.tls {
			if err := startTLS(plain); err != nil {
				return fmt.Errorf("starttls: %w", err)
			}
		}
		cfg := d.tls.Clone()
		cfg.ServerName = t.host
		secured := tls.Client(plain, cfg)
		if err := secured.HandshakeContext(ctx); err != nil {
			return fmt.Errorf("tls: %w", err)
		}
		stream = secured
	}
	c.guard = newGuardedConn(stream, d.answers)
	c.ldap = ldap.NewConn(c.guard, stream != plain)
	c.ldap.Start()
	return d.bind(c)
}

func (d *dialer) bind(c *conn) error {
	switch {
	case d.external:
		if err := c.ldap.ExternalBind(); err != nil {
			return fmt.Errorf("bind: %w", err)
		}
	case d.bindDN != "":
		password := d.password
		if password == "" {
			var err error
			if password, err = readPassword(d.passwordFile); err != nil {
				return err
			}
		}
		if err := c.ldap.Bind(d.bindDN, password); err != nil {
			return fmt.Errorf("bind as %q: %w", d.bindDN, err)
		}
	}
	return nil
}

// startTLSRequest is the extended request of RFC 4511 section 4.14.1 as message 1.
const startTLSRequest = "\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037"

// startTLS asks for TLS. The library could do it, and would then read the TLS
// records through our guard.
func startTLS(socket net.Conn) error {
	if _, err := socket.Write([]byte(startTLSRequest)); err != nil {
		return err
	}
	g := newGuardedConn(socket, 0)
	packet, err := ber.ReadPacket(g)
	if err != nil {
		return err
	}
	if len(g.rest) > 0 || g.in.Buffered() > 0 {
		// Said in the clear, it must not be taken for something said in TLS.
		return errors.New("data after the answer")
	}
	return ldap.GetLDAPError(packet)
}

// within runs an operation that ends when ctx does. That ends the connection too:
// a server that lets one operation wait is not to be trusted with others, and a
// late answer must not meet a later question.
func (c *conn) within(ctx context.Context, operation func() error) error {
	stop := context.AfterFunc(ctx, c.interrupt)
	err := operation()
	if stop() || err == nil {
		return err
	}
	return errors.Join(context.Cause(ctx), err)
}

// interrupt makes every read and write under way fail, and all that follow.
func (c *conn) interrupt() { _ = c.socket.SetDeadline(time.Unix(1, 0)) }

// dead reports whether the connection is known to have ended.
func (c *conn) dead() bool { return c.ldap.IsClosing() }

// close ends the connection without waiting for the server.
func (c *conn) close() {
	c.end.Do(func() {
		_ = c.socket.Close() // there is nothing to lose on it
		if c.ldap != nil {
			_ = c.ldap.Close()
		}
	})
}
