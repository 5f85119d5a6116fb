package service

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/internal/pemfile"
)

// listenerTLS is what a listener shows to its clients, and which certificates of clients
// it admits.
type listenerTLS struct {
	shown        []*certificateFile // the first is for clients that ask for no name
	ca           *x509.CertPool     // nil: names admit no client
	names        []string
	fingerprints map[[sha256.Size]byte]bool
	ask          bool // for certificates that others judge
}

// certificatesTLS reads what the listeners show to clients.
func (b *builder) certificatesTLS() {
	for i, l := range b.config.Listeners {
		at := key("listener", i, "")
		if l.TLSCert == "" || l.TLS == "off" || b.isKnown(at) {
			continue
		}
		t := &listenerTLS{names: l.ClientNames, fingerprints: map[[sha256.Size]byte]bool{}}
		show := func(option, certificate, secret string) {
			f := &certificateFile{certificate: certificate, key: secret, log: b.log}
			if err := f.read(); err != nil {
				b.complain(key("listener", i, option), err.Error(), pairRemedy(err))
				return
			}
			t.shown = append(t.shown, f)
		}
		show("tls_certificate", l.TLSCert, l.TLSKey)
		for _, path := range l.SNI {
			show("sni_certificates", path, path)
		}
		if l.ClientCA != "" {
			var err error
			if t.ca, err = pemfile.Pool(l.ClientCA); err != nil {
				b.complain(key("listener", i, "client_ca"), err.Error(), "set a PEM file with CA certificates")
			}
		}
		for _, text := range l.ClientFingerprints {
			if sum, err := (config.Exception{SHA256: text}).Fingerprint(); err == nil {
				t.fingerprints[sum] = true
			}
		}
		b.parts.tls[l.Name] = t
	}
	b.certificateEST()
	b.certificatesPublish()
}

// certificateEST reads what the EST server shows to clients.
func (b *builder) certificateEST() {
	e := b.config.EST
	if e.Address == "" || b.isKnown("est") {
		return
	}
	f := &certificateFile{certificate: e.TLSCert, key: e.TLSKey, log: b.log}
	if err := f.read(); err != nil {
		b.complain("est.tls_certificate", err.Error(), pairRemedy(err))
		return
	}
	b.parts.tls[estListener] = &listenerTLS{shown: []*certificateFile{f}, ask: true}
}

// consoleTLS reads what the console shows to browsers.
func (b *builder) consoleTLS() {
	c := b.config.Console
	if c.Address == "" || c.TLSCert == "" || c.TLSKey == "" || b.isKnown("console.tls_certificate") {
		return
	}
	f := &certificateFile{certificate: c.TLSCert, key: c.TLSKey, log: b.log}
	if err := f.read(); err != nil {
		b.complain("console.tls_certificate", err.Error(), pairRemedy(err))
		return
	}
	b.parts.tls[consoleName] = &listenerTLS{shown: []*certificateFile{f}}
}

// config returns the configuration of a handshake.
func (t *listenerTLS) config() *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: t.choose, ClientCAs: t.ca}
	if t.ca != nil || len(t.fingerprints) > 0 || t.ask {
		c.ClientAuth = tls.RequestClientCert // identify judges what comes
	}
	return c
}

var errNoCertificate = errors.New("the listener has no certificate")

// choose returns the first certificate that is valid for the name that the client asks
// for and that it can verify, and the first of all where none is.
func (t *listenerTLS) choose(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if len(t.shown) == 0 {
		return nil, errNoCertificate
	}
	first := t.shown[0].current()
	for _, f := range t.shown[1:] {
		if hello.SupportsCertificate(first) == nil {
			break
		}
		if c := f.current(); hello.SupportsCertificate(c) == nil {
			return c, nil
		}
	}
	return first, nil
}

// identify returns the name under which the certificate of a client is admitted; "" if it
// is not. The client has proved that it has the key.
func (t *listenerTLS) identify(state tls.ConnectionState) string {
	if len(state.PeerCertificates) == 0 {
		return ""
	}
	c := state.PeerCertificates[0]
	names := append(append([]string{}, c.EmailAddresses...), c.DNSNames...)
	if t.fingerprints[sha256.Sum256(c.Raw)] {
		for _, name := range append(names, c.Subject.CommonName) {
			if name != "" {
				return strings.ToLower(name)
			}
		}
		return "certificate"
	}
	if t.ca == nil {
		return ""
	}
	below := x509.NewCertPool()
	for _, i := range state.PeerCertificates[1:] {
		below.AddCert(i)
	}
	if _, err := c.Verify(x509.VerifyOptions{Roots: t.ca, Intermediates: below, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		return ""
	}
	for _, name := range c.EmailAddresses {
		if t.admits(name, true) {
			return strings.ToLower(name)
		}
	}
	for _, name := range c.DNSNames {
		if t.admits(name, false) {
			return strings.ToLower(name)
		}
	}
	return ""
}

// admits reports whether a name in a certificate is listed. A glob is for hosts or for mail
// addresses: by "*.example.org" no user with an address in such a domain poses as a host. Of
// a host that has the form of an address, no one is authenticated as that user.
func (t *listenerTLS) admits(name string, mail bool) bool {
	if strings.Contains(name, "@") != mail {
		return false
	}
	return slices.ContainsFunc(t.names, func(glob string) bool {
		return (glob == config.Everybody || strings.Contains(glob, "@") == mail) && enforce.Wildcard(strings.ToLower(glob), strings.ToLower(name))
	})
}

// certificateFile is a certificate in files. It is read again when these have changed; one
// that cannot be read then is not shown, and the one before it is.
type certificateFile struct {
	certificate, key string
	log              *slog.Logger

	mu    sync.Mutex
	pair  *tls.Certificate
	state [2]fileState // of what was read last, whether or not it was of use
}

// fileState tells a file from what it was.
type fileState struct {
	info fs.FileInfo
	err  bool
}

func stateOf(path string) fileState {
	info, err := os.Stat(path)
	return fileState{info, err != nil}
}

func (s fileState) is(other fileState) bool {
	if s.info == nil || other.info == nil {
		return s.info == nil && other.info == nil && s.err == other.err
	}
	return os.SameFile(s.info, other.info) && s.info.ModTime().Equal(other.info.ModTime()) && s.info.Size() == other.info.Size()
}

// read reads the files, if they have changed since they were read.
func (f *certificateFile) read() error {
	state := [2]fileState{stateOf(f.certificate), stateOf(f.key)}
	if f.pair != nil && state[0].is(f.state[0]) && state[1].is(f.state[1]) {
		return nil
	}
	pair, err := pemfile.KeyPair(f.certificate, f.key)
	f.state = state
	if err != nil {
		return err
	}
	f.pair = &pair
	return nil
}

// current returns the certificate as it is now.
func (f *certificateFile) current() *tls.Certificate {
	f.mu.Lock()
	defer f.mu.Unlock()
	before := f.pair
	if err := f.read(); err != nil {
		f.log.Error("TLS certificate cannot be read: the one before it is shown", "file", f.certificate, "error", err)
	} else if f.pair != before {
		f.log.Info("TLS certificate read again", "file", f.certificate)
	}
	return f.pair
}
