package queue

import (
	"database/sql/driver"
	"errors"
	"io"
	"net"

	"github.com/jackc/pgx/v5/pgconn"
	sqlitedriver "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/internal/postgresdb"
	"github.com/smimerelay/smimerelay/relay"
)

// The classes and codes of PostgreSQL's errors (appendix A of its manual).
const (
	classData       = "22"
	classConstraint = "23"
	codeSerialize   = "40001"
	codeDeadlock    = "40P01"
	codeDiskFull    = "53100"
)

// shown is why a recipient was not delivered, for the operator: the reply and, where that is
// this side's own, what is behind it.
func shown(err error) string {
	text := relay.ReplyFor(err).String()
	if cause := fault.Of(err).Cause; cause != nil {
		text += ": " + cause.Error()
	}
	return postgresdb.Text(text)
}

// ofStore reports whether an error says that the store does not work, and not that it
// refused what it was given.
func ofStore(err error) bool {
	if e, ok := errors.AsType[*sqlitedriver.Error](err); ok {
		return e.Code()&0xff != sqlite3.SQLITE_CONSTRAINT
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		class := classOf(e)
		return class != classData && class != classConstraint
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)
}

// isFull reports whether there is no room for what was to be stored.
func isFull(err error) bool {
	if e, ok := errors.AsType[*sqlitedriver.Error](err); ok {
		return e.Code()&0xff == sqlite3.SQLITE_FULL
	}
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && e.Code == codeDiskFull
}

// inConflict reports whether PostgreSQL undid a transaction because another one, of
// another node, was in its way: the same again works.
func inConflict(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (e.Code == codeSerialize || e.Code == codeDeadlock)
}

func classOf(e *pgconn.PgError) string {
	return e.Code[:min(len(e.Code), 2)]
}
