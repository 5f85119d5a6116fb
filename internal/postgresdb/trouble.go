package postgresdb

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// refusal is why no connection to a database came about, in a few words: pgx lists each
// address and each attempt, with and without TLS.
type refusal struct {
	text  string
	cause error
}

func (r *refusal) Error() string { return r.text }

func (r *refusal) Unwrap() error { return r.cause }

// refused shortens the error of a connection.
func refused(cfg *pgx.ConnConfig, err error) error {
	var text string
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		text = e.Message
	} else if e, ok := errors.AsType[*net.DNSError](err); ok {
		text = fmt.Sprintf("the host %q cannot be resolved: %s", e.Name, e.Err)
	} else if errors.Is(err, syscall.ECONNREFUSED) {
		text = "no server listens at " + servers(cfg)
	} else if errors.Is(err, fs.ErrNotExist) {
		text = "there is no socket of a server in " + cfg.Host
	} else if isTimeout(err) {
		text = "no answer in time from " + servers(cfg)
	} else {
		return err
	}
	return &refusal{text, err}
}

// servers are the addresses that a configuration names, each once.
func servers(cfg *pgx.ConnConfig) string {
	list := []string{net.JoinHostPort(cfg.Host, fmt.Sprint(cfg.Port))}
	for _, f := range cfg.Fallbacks {
		if next := net.JoinHostPort(f.Host, fmt.Sprint(f.Port)); next != list[len(list)-1] {
			list = append(list, next)
		}
	}
	return strings.Join(list, ", ")
}

func isTimeout(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)
}

// The codes of PostgreSQL's errors (appendix A of its manual) that say what an administrator
// can do.
const (
	codeNoDatabase  = "3D000"
	codePassword    = "28P01"
	codeNotAdmitted = "28000"
	codeForbidden   = "42501"
	codeConnections = "53300"
	codeFull        = "53100"
	codeStarting    = "57P03"
	codeReadOnly    = "25006"
	codeParameter   = "42704"
)

var remedies = map[string]string{
	codeNoDatabase:  "create the database for this user with createdb, or correct its name at the end of store.url",
	codePassword:    "correct the password in store.password_file, or the user in store.url",
	codeNotAdmitted: "create the user with createuser, or correct store.url; pg_hba.conf of the server says who may connect from where",
	codeForbidden:   "make this user the owner of the database: ALTER DATABASE name OWNER TO user",
	codeConnections: "raise max_connections in postgresql.conf",
	codeFull:        "free space on the disk of the server",
	codeStarting:    "wait until the server has started",
	codeReadOnly:    "connect to the primary: add ?target_session_attrs=read-write and name all servers; or set default_transaction_read_only off for this user and database",
	codeParameter:   "correct the parameters behind ? in store.url",
}

// Remedy says what to do about an error of a database; "" if it is not known.
func Remedy(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return remedies[e.Code]
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return "correct the host in store.url, or the DNS of this machine"
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "name the CA of the server's certificate: add ?sslrootcert=FILE to store.url"
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return "write the host in store.url as the server's certificate names it"
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, fs.ErrNotExist):
		return "start PostgreSQL there, or correct host and port in store.url; listen_addresses in postgresql.conf says where it listens"
	case isTimeout(err):
		return "correct the host in store.url, or let the connection through the firewall"
	}
	return ""
}
