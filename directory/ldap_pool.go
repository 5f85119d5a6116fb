package directory

import (
	"context"
	"errors"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// Idle connections: after idleCheck one is tried before it is relied on, for a
// firewall may have forgotten it; after idleLimit it is not used any more.
const (
	idleCheck = 15 * time.Second
	idleLimit = 5 * time.Minute
)

// slot is the place of one connection.
type slot struct {
	server *server
	// lock is held by the goroutine that looks after conn; a channel, because one must be
	// able to stop waiting for it.
	lock chan struct{}

	// Of these server.mu takes care.
	conn   *conn // nil: none was needed yet, or the last one died
	active int   // operations that use it, or wait to
	since  time.Time
}

// enter picks the slot with the least to do, and of those one that is connected.
func (s *server) enter() *slot {
	s.mu.Lock()
	defer s.mu.Unlock()
	best := s.slots[0]
	for _, next := range s.slots[1:] {
		if next.active < best.active || next.active == best.active && best.conn == nil && next.conn != nil {
			best = next
		}
	}
	best.active++
	return best
}

func (s *server) leave(l *slot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l.active--
	l.since = s.clock()
}

// get returns a connection that is alive as far as one can tell, a fresh one if
// there is none.
func (l *slot) get(ctx context.Context) (c *conn, fresh bool, err error) {
	select {
	case l.lock <- struct{}{}:
		defer func() { <-l.lock }()
	case <-ctx.Done():
		return nil, false, context.Cause(ctx)
	}
	c, idle, err := l.state()
	if err != nil {
		return nil, false, err
	}
	if c != nil {
		if !c.dead() && idle < idleLimit && (idle < idleCheck || c.alive(ctx, l.server.timeout/4)) {
			return c, false, nil
		}
		c.close()
	}
	c, err = l.server.dialer.dial(ctx, l.server.target)
	if err != nil {
		return nil, false, err
	}
	return c, true, l.set(c)
}

var errServerClosed = errors.New("closed")

// state returns the connection, and for how long it has been idle.
func (l *slot) state() (*conn, time.Duration, error) {
	l.server.mu.Lock()
	defer l.server.mu.Unlock()
	if l.server.closed {
		return nil, 0, errServerClosed
	}
	if l.active > 1 || l.conn == nil {
		return l.conn, 0, nil
	}
	return l.conn, l.server.clock().Sub(l.since), nil
}

func (l *slot) set(c *conn) error {
	l.server.mu.Lock()
	defer l.server.mu.Unlock()
	l.conn = c
	if l.server.closed {
		c.close()
		return errServerClosed
	}
	return nil
}

// close ends all connections and with them the operations under way.
func (s *server) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, l := range s.slots {
		if l.conn != nil {
			l.conn.close()
		}
	}
}

// search runs a search on c, beside others. A server's own answer, error or not,
// comes with what entries it gave.
func (c *conn) search(ctx context.Context, r *ldap.SearchRequest) (*ldap.SearchResult, error) {
	var result *ldap.SearchResult
	err := c.do(ctx, func() (err error) {
		result, err = c.ldap.Search(r)
		return err
	})
	if !answered(err) {
		return nil, err
	}
	return result, err
}

// do runs an operation on c, beside others. After an error that is no answer of the server c
// is closed.
func (c *conn) do(ctx context.Context, operation func() error) error {
	c.guard.allow()
	err := c.within(ctx, operation)
	if answered(err) {
		return err
	}
	c.close()
	if refused := c.guard.refused.Load(); refused != nil {
		return *refused
	}
	return err
}

// alive asks for nothing of the root entry, which costs a server nothing and
// which all may do (RFC 4512 section 5.1).
func (c *conn) alive(ctx context.Context, limit time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	_, err := c.search(ctx, ldap.NewSearchRequest("", ldap.ScopeBaseObject, ldap.NeverDerefAliases, 1, 0, true,
		everyEntry, []string{"1.1"}, nil))
	return answered(err)
}
