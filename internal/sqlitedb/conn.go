package sqlitedb

import (
	"context"
	"database/sql/driver"
	"errors"
	"strings"
)

// maxKept is how many statements a connection keeps compiled. It is more than the
// program has; texts that are put together at run time must not fill the memory.
const maxKept = 128

// driverConn is what database/sql makes use of in a connection of the driver.
type driverConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// statement is a compiled statement of the driver.
type statement interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// conn is a connection that keeps its statements. database/sql uses a connection,
// and the rows that it returned, from one goroutine at a time.
type conn struct {
	driverConn
	// idle are compiled statements that are idle at the moment, by their text.
	idle map[string]statement
}

// ExecContext implements driver.ExecerContext.
func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if !keepable(query) {
		return c.driverConn.ExecContext(ctx, query, args)
	}
	s, err := c.take(ctx, query)
	if err != nil {
		return nil, err
	}
	result, err := s.ExecContext(ctx, args)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return result, c.keep(query, s)
}

// QueryContext implements driver.QueryerContext.
func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if !keepable(query) {
		return c.driverConn.QueryContext(ctx, query, args)
	}
	s, err := c.take(ctx, query)
	if err != nil {
		return nil, err
	}
	r, err := s.QueryContext(ctx, args)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return &rows{Rows: r, conn: c, query: query, statement: s}, nil
}

// take returns a compiled statement, which is the caller's until keep: the same text
// may be run again while its rows are read.
func (c *conn) take(ctx context.Context, query string) (statement, error) {
	if s, ok := c.idle[query]; ok {
		delete(c.idle, query)
		return s, nil
	}
	s, err := c.driverConn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	return s.(statement), nil
}

// keep takes a statement back.
func (c *conn) keep(query string, s statement) error {
	if c.idle == nil {
		c.idle = make(map[string]statement)
	}
	if _, ok := c.idle[query]; ok {
		return s.Close()
	}
	var err error
	if len(c.idle) >= maxKept {
		err = c.drop()
	}
	c.idle[query] = s
	return err
}

// drop forgets the statements that are kept.
func (c *conn) drop() (err error) {
	for _, s := range c.idle {
		err = errors.Join(err, s.Close())
	}
	clear(c.idle)
	return err
}

// Close implements driver.Conn.
func (c *conn) Close() error { return errors.Join(c.drop(), c.driverConn.Close()) }

// rows give their statement back when they are closed.
type rows struct {
	driver.Rows
	conn      *conn
	query     string
	statement statement // nil once it is given back
}

// Close implements driver.Rows.
func (r *rows) Close() error {
	err := r.Rows.Close()
	s := r.statement
	r.statement = nil
	switch {
	case s == nil:
		return err
	case err != nil:
		return errors.Join(err, s.Close())
	}
	return r.conn.keep(r.query, s)
}

// keepable reports whether a statement works on rows. Others are rare, and to make
// tables or to set a PRAGMA is compiled again at each use by SQLite itself.
func keepable(query string) bool {
	switch strings.ToUpper(firstWord(query)) {
	case "SELECT", "INSERT", "UPDATE", "DELETE", "REPLACE", "WITH", "SAVEPOINT", "RELEASE", "ROLLBACK":
		return true
	}
	return false
}

// firstWord returns the first word behind comments of whole lines.
func firstWord(query string) string {
	for {
		query = strings.TrimLeft(query, " \t\r\n")
		if !strings.HasPrefix(query, "--") {
			break
		}
		_, query, _ = strings.Cut(query, "\n")
	}
	word, _, _ := strings.Cut(query, " ")
	word, _, _ = strings.Cut(word, "\n")
	return word
}
