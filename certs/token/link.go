package token

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/smimerelay/smimerelay/certs/token/contract"
	"github.com/smimerelay/smimerelay/smime/cms"
)

var (
	errTimeout = errors.New("no answer in time")
	errBusy    = errors.New("too many operations are under way")
	errClosed  = errors.New("closed")
)

// link is the way to one token: a helper that is started, or connected to, when it is
// needed, and again when it was lost.
type link struct {
	Config
	name   string // of the token, in errors and in the log
	uri    string // sent to the helper; empty if it knows
	dial   func() (io.ReadWriteCloser, error)
	pins   *pins
	pin    string // file with the PIN; may be empty
	places chan struct{}

	mu      sync.Mutex
	current *conn
	err     error     // why there is none
	again   time.Time // when the next may be made
	closed  bool
}

// do asks the token for something, and waits for the answer as long as its patience
// lasts. What a helper had not answered when it ended is asked again of the next one, once.
func (l *link) do(q contract.Request) (contract.Response, error) {
	answer, err := l.try(q)
	result := "done"
	if err != nil {
		result = string(known(contract.KindOf(err)))
	}
	l.Count(l.name, string(q.Operation), result)
	return answer, err
}

// known keeps what a helper may make up out of the metrics.
func known(k contract.Kind) contract.Kind {
	switch k {
	case contract.Refused, contract.WrongPIN, contract.Unsupported, contract.Undecryptable:
		return k
	}
	return contract.Unavailable
}

func (l *link) try(q contract.Request) (contract.Response, error) {
	limit := time.NewTimer(l.patience(q))
	defer limit.Stop()
	select {
	case l.places <- struct{}{}:
		defer func() { <-l.places }()
	case <-limit.C:
		return contract.Response{}, errBusy
	}
	for attempt := 1; ; attempt++ {
		c, err := l.connection(limit.C)
		if err != nil {
			return contract.Response{}, err
		}
		answer, err := c.call(q, limit.C)
		if attempt == 1 && errors.Is(err, errLost) {
			continue
		}
		if err != nil {
			l.learn(err)
		}
		return answer, err
	}
}

// patience is how long an answer is waited for.
func (l *link) patience(q contract.Request) time.Duration {
	if q.Operation == contract.Generate && q.Scheme.Bits() > 0 {
		return l.Timeout + contract.GenerateTime
	}
	return l.Timeout
}

// learn remembers a PIN that was refused.
func (l *link) learn(err error) {
	if contract.KindOf(err) == contract.WrongPIN && l.pin != "" {
		l.pins.bar(l.pin)
	}
}

// connection returns a connection that is open. One goroutine makes it; the others wait
// for that one.
func (l *link) connection(limit <-chan time.Time) (*conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return nil, errClosed
	case l.current != nil && l.current.alive():
		return l.current, nil
	case l.current != nil:
		l.err = l.current.failure()
		l.Log.Error("token helper lost", "token", l.name, "error", l.err.Error())
		l.current.close()
		l.current = nil
	}
	if l.Clock().Before(l.again) {
		return nil, l.err
	}
	if l.pin != "" && l.pins.barred(l.pin) {
		return nil, contract.Errorf(contract.WrongPIN, "it refused the PIN in %q, which is not tried again until the file changes, so that the token does not lock", l.pin)
	}
	l.current, l.err = l.start(limit)
	l.again = l.Clock().Add(pause)
	result := "done"
	if l.err != nil {
		result = string(known(contract.KindOf(l.err)))
	}
	l.Count(l.name, "start", result)
	return l.current, l.err
}

// start makes a connection and opens the token by it.
func (l *link) start(limit <-chan time.Time) (*conn, error) {
	rw, err := l.dial()
	if err != nil {
		return nil, err
	}
	c := newConn(rw)
	if _, err := c.call(contract.Request{Operation: contract.Open, Version: contract.Version, Token: l.uri}, limit); err != nil {
		l.learn(err)
		c.close()
		return nil, err
	}
	return c, nil
}

// close ends the helper.
func (l *link) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.current != nil {
		l.current.close()
		l.current = nil
	}
}

// failure is what callers get to see of err.
func (l *link) failure(what string, err error) error {
	kind := cms.ErrDevice
	if contract.KindOf(err) == contract.Unsupported {
		kind = cms.ErrUnsupported
	}
	return fmt.Errorf("%w: token %q: %s: %w", kind, l.name, what, err)
}
