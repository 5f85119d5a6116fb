package directory

import (
	"context"
	"errors"

	"github.com/go-ldap/ldap/v3"
)

// take returns an idle connection that is alive as far as one can tell, or nil.
func (s *server) take(ctx context.Context) *conn {
	for {
		c := s.pop()
		if c == nil {
			return nil
		}
		age := s.clock().Sub(c.since)
		if !c.ldap.IsClosing() && age < idleLimit && (age < idleCheck || s.alive(ctx, c)) {
			c.guard.allow()
			return c
		}
		s.drop(c)
	}
}

func (s *server) pop() *conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.idle) == 0 {
		return nil
	}
	last := len(s.idle) - 1
	c := s.idle[last]
	s.idle = s.idle[:last]
	s.used[c] = struct{}{}
	return c
}

// alive asks for nothing of the root entry, which costs a server nothing and
// which all may do (RFC 4512 section 5.1). It may take a quarter of the time, so
// that a new connection can still be made.
func (s *server) alive(ctx context.Context, c *conn) bool {
	ctx, cancel := context.WithTimeout(ctx, s.timeout/4)
	defer cancel()
	r := ldap.NewSearchRequest("", ldap.ScopeBaseObject, ldap.NeverDerefAliases, 1, s.seconds(), true,
		"(objectClass=*)", []string{"1.1"}, nil)
	return c.within(ctx, func() error {
		_, err := c.ldap.Search(r)
		if answered(err) {
			return nil
		}
		return err
	}) == nil
}

// adopt counts a new connection among those in use.
func (s *server) adopt(c *conn) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		c.close()
		return errors.New("closed")
	}
	s.used[c] = struct{}{}
	return nil
}

func (s *server) giveBack(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.used, c)
	if s.closed || c.ldap.IsClosing() {
		c.close()
		return
	}
	c.since = s.clock()
	s.idle = append(s.idle, c)
}

func (s *server) drop(c *conn) {
	s.mu.Lock()
	delete(s.used, c)
	s.mu.Unlock()
	c.close()
}

// close ends all connections, those in use by interrupting their operation.
func (s *server) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, c := range s.idle {
		c.close()
	}
	s.idle = nil
	for c := range s.used {
		c.interrupt()
	}
}
