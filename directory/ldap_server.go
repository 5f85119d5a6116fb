package directory

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// maxEntries is how many entries one address may have.
const maxEntries = 20

// operationsAtOnce is how many operations share a connection: a server works on
// them side by side, and the next one need not wait for an answer to travel.
const operationsAtOnce = 16

// servers are one server, or those that DNS has for a domain, in the order in
// which they are to be asked.
type servers interface {
	list(ctx context.Context) ([]*server, error)
	close()
}

func newServers(t target, d *dialer, cfg LDAPConfig) servers {
	if t.domain != "" {
		return newDomainServers(t, d, cfg)
	}
	return newServer(t, d, cfg)
}

// server is one server with its connections.
type server struct {
	target  target
	dialer  *dialer
	timeout time.Duration
	clock   func() time.Time
	breaker breaker
	places  chan struct{} // holds one value per operation under way

	mu     sync.Mutex
	slots  []*slot
	closed bool
}

func (s *server) list(context.Context) ([]*server, error) { return []*server{s}, nil }

func newServer(t target, d *dialer, cfg LDAPConfig) *server {
	s := &server{
		target:  t,
		dialer:  d,
		timeout: cfg.Timeout,
		clock:   cfg.Clock,
		breaker: breaker{clock: cfg.Clock},
		places:  make(chan struct{}, cfg.Connections*operationsAtOnce),
	}
	for range cfg.Connections {
		s.slots = append(s.slots, &slot{server: s, lock: make(chan struct{}, 1)})
	}
	return s
}

// request makes a search request with our limits. Referrals are not chased, nor
// aliases: a search that follows them costs some servers a scan.
func (s *server) request(base string, scope int, filter string, attributes []string) *ldap.SearchRequest {
	r := ldap.NewSearchRequest(base, scope, ldap.NeverDerefAliases, maxEntries, s.seconds(), false, filter, attributes, nil)
	r.EnforceSizeLimit = true
	return r
}

// seconds is the time limit as LDAP counts it, rounded up.
func (s *server) seconds() int { return int((s.timeout + time.Second - 1) / time.Second) }

// search runs one search within the time limit.
func (s *server) search(ctx context.Context, r *ldap.SearchRequest) (*ldap.SearchResult, error) {
	var result *ldap.SearchResult
	err := s.limited(ctx, func(ctx context.Context) (err error) {
		result, err = s.attempt(ctx, r)
		return err
	})
	return result, err
}

// limited runs an operation within the time limit, unless the server rests.
func (s *server) limited(ctx context.Context, operation func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, s.timeout, fmt.Errorf("no answer within %s", s.timeout))
	defer cancel()
	return s.breaker.guard(broken, func() error {
		select {
		case s.places <- struct{}{}:
			defer func() { <-s.places }()
		case <-ctx.Done():
			return errors.Join(errBusy, context.Cause(ctx))
		}
		return operation(ctx)
	})
}

// attempt searches on an open connection, and again on a new one when that
// turns out to be dead: a server that was restarted has closed all it had.
func (s *server) attempt(ctx context.Context, r *ldap.SearchRequest) (*ldap.SearchResult, error) {
	slot := s.enter()
	defer s.leave(slot)
	for {
		c, fresh, err := slot.get(ctx)
		if err != nil {
			return nil, err
		}
		result, err := c.search(ctx, r)
		if answered(err) || fresh || ctx.Err() != nil {
			return result, err
		}
	}
}

// modify makes one change. It is not tried again where the connection ends: it may have been
// made.
func (s *server) modify(ctx context.Context, r *ldap.ModifyRequest) error {
	return s.limited(ctx, func(ctx context.Context) error {
		slot := s.enter()
		defer s.leave(slot)
		c, _, err := slot.get(ctx)
		if err != nil {
			return err
		}
		return c.do(ctx, func() error { return c.ldap.Modify(r) })
	})
}

// answered reports whether err is what the server answered, or nothing: the
// connection is good in either case. Codes from 200 on are the library's own.
func answered(err error) bool {
	if err == nil {
		return true
	}
	e, ok := errors.AsType[*ldap.Error](err)
	return ok && e.ResultCode < ldap.ErrorNetwork
}

// broken reports whether err speaks against the server as a whole. Refused
// credentials do: going on with them may lock an account.
func broken(err error) bool {
	if _, refused := errors.AsType[refusedError](err); refused {
		return false
	}
	return !answered(err) || ldap.IsErrorAnyOf(err,
		ldap.LDAPResultBusy, ldap.LDAPResultUnavailable, ldap.LDAPResultInvalidCredentials)
}
