//go:build cgo

package cryptoki

import (
	"sync"
	"time"

	"github.com/miekg/pkcs11"
)

// maxSessions is how many operations of one token are under way at once.
const maxSessions = 8

// pool holds the sessions with one token. They are opened as they are needed and
// kept. A session does one thing at a time.
type pool struct {
	module  *module
	uri     target
	timeout time.Duration
	clock   func() time.Time
	places  chan struct{} // one for each operation under way

	mu     sync.Mutex
	idle   []*session
	closed bool
	work   sync.WaitGroup
}

// session is an open session, logged in where the token wants that.
type session struct {
	api    cryptoki
	slot   uint
	handle pkcs11.SessionHandle
	keys   map[string]pkcs11.ObjectHandle // handles of private keys that were found
}

// newPool makes a pool that leaves half of the token's sessions to the pool that
// takes its place at a reload.
func newPool(m *module, u target, o Options, most uint) *pool {
	n := maxSessions
	// 0 is no limit, and all ones is one that the token does not tell.
	if most > 0 && most < 2*maxSessions {
		n = max(1, int(most)/2)
	}
	return &pool{module: m, uri: u, timeout: o.Timeout, clock: o.Clock, places: make(chan struct{}, n)}
}

// do has f work with a session, and returns its answer unless that takes longer than
// timeout. A C call cannot be cancelled: one that hangs keeps its place.
func do[T any](p *pool, timeout time.Duration, f func(*session) (T, error)) (T, error) {
	var none T
	limit := time.NewTimer(timeout)
	defer limit.Stop()
	select {
	case p.places <- struct{}{}:
	case <-limit.C:
		return none, errBusy
	}
	type answer struct {
		value T
		err   error
	}
	done := make(chan answer, 1)
	if !p.begin(func() {
		defer func() { <-p.places }()
		v, err := again(p, f)
		done <- answer{v, err}
	}) {
		<-p.places
		return none, errClosed
	}
	select {
	case a := <-done:
		return a.value, a.err
	case <-limit.C:
		return none, errTimeout
	}
}

// begin starts work that close waits for; false after close.
func (p *pool) begin(work func()) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.work.Go(work)
	}
	return !p.closed
}

// again has f work with a session, where that was lost with a new one, and where
// the token is away or fails after the library was restarted: SoftHSM fails for
// ever once the files of a token were away.
func again[T any](p *pool, f func(*session) (T, error)) (T, error) {
	value, err := once(p, f)
	if lost(err) {
		p.forget() // what one session lost all have
		value, err = once(p, f)
	}
	if (absent(err) || broken(err)) && p.module.restart(p.clock()) {
		p.forget()
		return once(p, f)
	}
	return value, err
}

func once[T any](p *pool, f func(*session) (T, error)) (T, error) {
	p.module.calls.RLock()
	defer p.module.calls.RUnlock()
	s, err := p.take()
	if err != nil {
		var none T
		return none, err
	}
	value, err := f(s)
	if lost(err) || broken(err) {
		s.close()
	} else {
		p.put(s)
	}
	return value, err
}

// take returns an idle session or opens one.
func (p *pool) take() (*session, error) {
	p.mu.Lock()
	if n := len(p.idle); n > 0 {
		s := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		return s, nil
	}
	p.mu.Unlock()
	return p.open(0)
}

// open opens a session with more flags than that it is one.
func (p *pool) open(flags uint) (*session, error) {
	slot, _, err := p.uri.slot(p.module)
	if err != nil {
		return nil, err
	}
	handle, err := p.module.OpenSession(slot, pkcs11.CKF_SERIAL_SESSION|flags)
	if err != nil {
		return nil, err
	}
	s := &session{api: p.module, slot: slot, handle: handle, keys: map[string]pkcs11.ObjectHandle{}}
	if err := p.logIn(s); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (p *pool) put(s *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		s.close()
		return
	}
	p.idle = append(p.idle, s)
}

// forget closes the idle sessions.
func (p *pool) forget() {
	p.module.calls.RLock()
	defer p.module.calls.RUnlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.idle {
		s.close()
	}
	p.idle = nil
}

// close ends the pool and waits for what is under way, but not for calls that
// hang. It reports whether nothing hangs: then the library may be ended.
func (p *pool) close() bool {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	done := make(chan struct{})
	go func() { p.work.Wait(); close(done) }()
	limit := time.NewTimer(p.timeout)
	defer limit.Stop()
	select {
	case <-done:
		p.forget()
		return true
	case <-limit.C:
		return false
	}
}

// close ends a session. The answer of the token is of no use.
func (s *session) close() { _ = s.api.CloseSession(s.handle) }
