package ldapd

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"

	"github.com/smimerelay/smimerelay/internal/guard"
	"github.com/smimerelay/smimerelay/internal/ldapwire"
	"github.com/smimerelay/smimerelay/publish"
	"github.com/smimerelay/smimerelay/smime/address"
)

// Published is what is served at a time.
type Published struct {
	// Snapshot is nil until it has been made.
	Snapshot *publish.Snapshot
	// Match reports whether the certificates of an address are given out, Own whether
	// the address is local.
	Match, Own func(address.Address) bool
	Partners   Partners
	// Base is the name of the entry above all others.
	Base string
	// PerMinute is how many questions a client may ask in a minute that has not all
	// rights, and SizeLimit how many entries an answer may have.
	PerMinute, SizeLimit int
	// Networks are those of clients with all rights; so have clients that authenticate as
	// BindDN, "" is none, with Password.
	Networks []netip.Prefix
	BindDN   string
	Password func() (string, error)
	// StartTLS: it is offered.
	StartTLS bool

	base *ldap.DN
}

// oidStartTLS is the name of StartTLS (RFC 4511 section 4.14).
const oidStartTLS = "1.3.6.1.4.1.1466.20037"

// limits bound a request: a filter has at most a few dozen elements.
var limits = ldapwire.Limits{Octets: 32 << 10, Elements: 1000, Depth: 24}

// conn is the connection of a client.
type conn struct {
	server  *Server
	client  netip.Addr
	as      netip.Prefix // with which others it counts as one client
	insider bool         // by its network
	in      *bufio.Reader
	secure  bool // by TLS, or as it needs none
	bound   bool // as BindDN

	mu  sync.Mutex
	net net.Conn
}

func (k *conn) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	_ = k.net.Close() // it may be closed already
}

// serve answers requests, one after the other.
func (k *conn) serve() {
	s := k.server
	k.secure = s.Mode == NoTLS
	if s.Mode == Implicit && !k.handshake() {
		return
	}
	k.in = bufio.NewReaderSize(k.net, 4<<10)
	var buf []byte
	end := time.Now().Add(strangerTime)
	for k.insider || k.bound || time.Now().Before(end) {
		if err := k.net.SetDeadline(time.Now().Add(idleTime)); err != nil {
			return
		}
		message, err := limits.Read(k.in, buf)
		if err != nil {
			if ldapwire.Refused(err) {
				k.disconnect(ldap.LDAPResultProtocolError)
			}
			return
		}
		buf = message
		more := false
		err = guard.Do(s.Log, "ldap request", func() (err error) {
			more, err = k.request(message)
			return err
		})
		if err != nil || !more {
			return
		}
	}
}

// handshake makes the connection one with TLS.
func (k *conn) handshake() bool {
	t := tls.Server(k.net, k.server.TLS)
	ctx, cancel := context.WithTimeout(context.Background(), handshakeTime)
	defer cancel()
	if err := t.HandshakeContext(ctx); err != nil {
		k.server.Log.Debug("TLS handshake failed", "client", k.client.String(), "error", err)
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.net, k.secure = t, true
	return true
}

// disconnect tells why the connection ends (RFC 4511 section 4.4.1).
func (k *conn) disconnect(code int64) {
	_ = k.send(reply(0, extended(code, "1.3.6.1.4.1.1466.20036", ""))) // it ends in any case
}

func (k *conn) send(message []byte) error {
	if err := k.net.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return err
	}
	_, err := k.net.Write(message)
	return err
}

// answers are the tags of the results of requests.
var answers = map[ber.Tag]ber.Tag{
	ldap.ApplicationBindRequest:     ldap.ApplicationBindResponse,
	ldap.ApplicationSearchRequest:   ldap.ApplicationSearchResultDone,
	ldap.ApplicationModifyRequest:   ldap.ApplicationModifyResponse,
	ldap.ApplicationAddRequest:      ldap.ApplicationAddResponse,
	ldap.ApplicationDelRequest:      ldap.ApplicationDelResponse,
	ldap.ApplicationModifyDNRequest: ldap.ApplicationModifyDNResponse,
	ldap.ApplicationCompareRequest:  ldap.ApplicationCompareResponse,
	ldap.ApplicationExtendedRequest: ldap.ApplicationExtendedResponse,
}

// request answers one request and reports whether there may be more.
func (k *conn) request(message []byte) (more bool, err error) {
	r, err := parse(message)
	if err != nil {
		k.disconnect(ldap.LDAPResultProtocolError)
		return false, nil
	}
	answer, known := answers[r.op.Tag]
	switch {
	case r.op.Tag == ldap.ApplicationUnbindRequest:
		return false, nil
	case r.op.Tag == ldap.ApplicationAbandonRequest:
		return true, nil // what it names was answered
	case !known:
		k.disconnect(ldap.LDAPResultProtocolError)
		return false, nil
	case r.critical:
		return true, k.done(r, answer, ldap.LDAPResultUnavailableCriticalExtension, "no control is supported")
	}
	switch r.op.Tag {
	case ldap.ApplicationBindRequest:
		return true, k.bind(r)
	case ldap.ApplicationSearchRequest:
		return true, k.search(r)
	case ldap.ApplicationExtendedRequest:
		return k.extended(r)
	}
	return true, k.done(r, answer, ldap.LDAPResultUnwillingToPerform, "nothing can be changed or compared here")
}

func (k *conn) done(r request, tag ber.Tag, code int64, diagnosis string) error {
	return k.send(reply(r.id, result(tag, code, diagnosis)))
}

// published returns what is served now.
func (k *conn) published() (*Published, func(), error) {
	p, release := k.server.Published()
	var err error
	if p.base, err = ldap.ParseDN(p.Base); err != nil {
		release()
		return nil, nil, err
	}
	return p, release, nil
}

// bind answers a bind. RFC 4513 section 5.1.2: a name without a password is refused.
func (k *conn) bind(r request) error {
	k.bound = false
	code, diagnosis := int64(ldap.LDAPResultSuccess), ""
	b, err := parseBind(r.op)
	switch {
	case err != nil || b.version != 3:
		code, diagnosis = ldap.LDAPResultProtocolError, "LDAP version 3 is served"
	case !b.simple:
		code, diagnosis = ldap.LDAPResultAuthMethodNotSupported, "bind with a password, or anonymously"
	case b.name == "" && b.password == "":
	case !k.secure:
		code, diagnosis = ldap.LDAPResultConfidentialityRequired, "start TLS first"
	case b.name == "" || b.password == "":
		code, diagnosis = ldap.LDAPResultUnwillingToPerform, "a bind needs a name and a password, or neither"
	default:
		code, diagnosis, err = k.login(b)
		if err != nil {
			return err
		}
	}
	return k.done(r, ldap.ApplicationBindResponse, code, diagnosis)
}

// login checks a password.
func (k *conn) login(b bindRequest) (code int64, diagnosis string, err error) {
	p, release, err := k.published()
	if err != nil {
		return 0, "", err
	}
	defer release()
	if !k.server.Limiter.Allow(k.client, p.PerMinute) {
		return ldap.LDAPResultBusy, errTooOften.diagnosis, nil
	}
	if p.BindDN == "" {
		return ldap.LDAPResultInvalidCredentials, "", nil
	}
	password, err := p.Password()
	if err != nil {
		k.server.Log.Error("the password of LDAP clients cannot be read", "error", err)
		return ldap.LDAPResultUnavailable, "", nil
	}
	want, got := sha256.Sum256([]byte(password)), sha256.Sum256([]byte(b.password))
	good := subtle.ConstantTimeCompare(want[:], got[:]) == 1 && password != ""
	if !strings.EqualFold(b.name, p.BindDN) || !good {
		return ldap.LDAPResultInvalidCredentials, "", nil
	}
	k.bound = true
	return ldap.LDAPResultSuccess, "", nil
}

// extended answers the one extended request that is served.
func (k *conn) extended(r request) (more bool, err error) {
	if len(r.op.Children) == 0 || text(r.op.Children[0]) != oidStartTLS {
		return true, k.send(reply(r.id, extended(ldap.LDAPResultProtocolError, "", "the request is not supported")))
	}
	_, already := k.net.(*tls.Conn)
	if k.server.Mode != StartTLS || already || k.in.Buffered() > 0 {
		// What was sent before TLS must not count as sent within it.
		return k.in.Buffered() == 0, k.send(reply(r.id, extended(ldap.LDAPResultOperationsError, oidStartTLS, "TLS cannot be started")))
	}
	if err := k.send(reply(r.id, extended(ldap.LDAPResultSuccess, oidStartTLS, ""))); err != nil {
		return false, err
	}
	if !k.handshake() {
		return false, nil
	}
	k.bound = false
	k.in = bufio.NewReaderSize(k.net, 4<<10)
	return true, nil
}

// Results of a search, for a metric.
const (
	resultFound   = "found"
	resultNone    = "none"
	resultLimited = "limited"
	resultRefused = "refused"
	resultFailed  = "failed"
)

// search answers a search.
func (k *conn) search(r request) error {
	p, release, err := k.published()
	if err != nil {
		return err
	}
	defer release()
	ctx, cancel := context.WithTimeout(context.Background(), searchTime)
	defer cancel()
	f, s, err := k.find(ctx, p, r)
	k.server.Count(outcome(f, err))
	for _, e := range f.entries {
		if err := k.send(reply(r.id, entryReply(e, s))); err != nil {
			return err
		}
	}
	code, diagnosis := int64(ldap.LDAPResultSuccess), ""
	if f.more {
		code = ldap.LDAPResultSizeLimitExceeded
	}
	if err != nil {
		code, diagnosis = ldap.LDAPResultUnavailable, "try again later"
		if refused, ok := errors.AsType[*failure](err); ok {
			code, diagnosis = refused.code, refused.diagnosis
		}
	}
	return k.done(r, ldap.ApplicationSearchResultDone, code, diagnosis)
}

func (k *conn) find(ctx context.Context, p *Published, r request) (found, searchRequest, error) {
	s, err := parseSearch(r.op)
	if err != nil {
		return found{}, s, &failure{ldap.LDAPResultProtocolError, "the search is malformed"}
	}
	if dse := s.base == "" && s.scope == ldap.ScopeBaseObject; !k.secure && !dse {
		return found{}, s, &failure{ldap.LDAPResultConfidentialityRequired, "start TLS first"}
	}
	all := k.bound || within(p.Networks, k.client)
	f, err := p.search(ctx, s, all, func(n int) bool {
		for range n {
			if !all && !k.server.Limiter.Allow(k.client, p.PerMinute) {
				return false
			}
		}
		return true
	})
	return f, s, err
}

func outcome(f found, err error) string {
	refused, ok := errors.AsType[*failure](err)
	switch {
	case err == nil && len(f.entries) > 0:
		return resultFound
	case err == nil || ok && refused == errNoSuchObject:
		return resultNone
	case ok && refused == errTooOften:
		return resultLimited
	case ok && refused.code != ldap.LDAPResultUnavailable && refused.code != ldap.LDAPResultTimeLimitExceeded:
		return resultRefused
	}
	return resultFailed
}
