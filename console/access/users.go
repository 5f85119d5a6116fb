package access

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/smimerelay/smimerelay/internal/passwordhash"
)

// User is an account, without what is secret of it.
type User struct {
	Name    string    `json:"name"`
	Role    Role      `json:"role"`
	TOTP    bool      `json:"totp" doc:"Whether a one-time code is needed to sign in."`
	Created time.Time `json:"created"`
	Issuer  string    `json:"issuer,omitempty" doc:"The OpenID Connect provider that the account comes from; absent for local ones."`
}

// ErrNoUser is an account that is not there.
var ErrNoUser = errors.New("there is no such console account; smimerelay console account list shows them")

// ErrExists is an account, or a token, that is there already.
var ErrExists = errors.New("it exists already")

// minPassword is the least number of octets of a password.
const minPassword = 12

// checkPassword refuses what is too short to protect an account, or too long to hash.
func checkPassword(password string) error {
	switch {
	case len(password) < minPassword:
		return fmt.Errorf("the password is shorter than %d characters", minPassword)
	case len(password) > passwordhash.Max || strings.ContainsRune(password, 0):
		return fmt.Errorf("the password is longer than %d octets, or has one that is zero", passwordhash.Max)
	}
	return nil
}

// canonical returns a name as it is compared.
func canonical(name string) (string, error) {
	bad := func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r) || strings.ContainsRune(`<>"'&/\`, r)
	}
	if name == "" || len(name) > 255 || strings.ContainsFunc(name, bad) {
		return "", fmt.Errorf("%q cannot be the name of an account; use letters, digits and punctuation such as alice or alice@example.org", name)
	}
	return strings.ToLower(name), nil
}

// AddUser adds an account. An empty password makes one that can only sign in by links.
func (s *Store) AddUser(ctx context.Context, by Actor, name string, role Role, password string) error {
	name, err := canonical(name)
	if err != nil {
		return err
	}
	if err := role.check(); err != nil {
		return err
	}
	hash := ""
	if password != "" {
		if err := checkPassword(password); err != nil {
			return err
		}
		hash = passwordhash.New(password).String()
	}
	return s.change(ctx, func(tx *txn) error {
		if _, err := readUser(ctx, tx, name); err == nil {
			return fmt.Errorf("account %q: %w", name, ErrExists)
		} else if !errors.Is(err, ErrNoUser) {
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO console_user (name, role, password, created) VALUES ($1, $2, $3, $4)`,
			name, string(role), hash, s.now()); err != nil {
			return err
		}
		return s.record(ctx, tx, Entry{Actor: by, Action: "account.add", Object: name, After: map[string]any{"role": role}})
	})
}

// SetPassword gives an account another password and ends its sessions.
func (s *Store) SetPassword(ctx context.Context, by Actor, name, password string) error {
	if err := checkPassword(password); err != nil {
		return err
	}
	hash := passwordhash.New(password).String()
	return s.changeUser(ctx, name, Entry{Actor: by, Action: "account.password"}, func(tx *txn, u *account, _ *Entry) error {
		return endSessions(ctx, tx, u.Name, `UPDATE console_user SET password = $1 WHERE name = $2`, hash)
	})
}

// SetRole gives an account another role. It holds at once.
func (s *Store) SetRole(ctx context.Context, by Actor, name string, role Role) error {
	if err := role.check(); err != nil {
		return err
	}
	return s.changeUser(ctx, name, Entry{Actor: by, Action: "account.role"}, func(tx *txn, u *account, e *Entry) error {
		e.Before, e.After = map[string]any{"role": u.Role}, map[string]any{"role": role}
		_, err := tx.ExecContext(ctx, `UPDATE console_user SET role = $1 WHERE name = $2`, string(role), u.Name)
		return err
	})
}

// SetTOTP has an account asked for one-time codes of a secret in base32 (RFC 6238), or,
// with "", for none.
func (s *Store) SetTOTP(ctx context.Context, by Actor, name, secret string) error {
	return s.changeUser(ctx, name, Entry{Actor: by, Action: "account.totp"}, func(tx *txn, u *account, e *Entry) error {
		e.Before, e.After = map[string]any{"totp": u.TOTP}, map[string]any{"totp": secret != ""}
		return endSessions(ctx, tx, u.Name, `UPDATE console_user SET totp = $1, totp_step = 0 WHERE name = $2`, secret)
	})
}

// RemoveUser removes an account with its sessions and tokens.
func (s *Store) RemoveUser(ctx context.Context, by Actor, name string) error {
	return s.changeUser(ctx, name, Entry{Actor: by, Action: "account.remove"}, func(tx *txn, u *account, e *Entry) error {
		e.Before = map[string]any{"role": u.Role}
		_, err := tx.ExecContext(ctx, `DELETE FROM console_user WHERE name = $1`, u.Name)
		return err
	})
}

// Unlock forgets the failed attempts to sign in to an account.
func (s *Store) Unlock(ctx context.Context, by Actor, name string) error {
	return s.changeUser(ctx, name, Entry{Actor: by, Action: "account.unlock"}, func(tx *txn, u *account, _ *Entry) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM console_failure WHERE key = $1`, nameKey(u.Name))
		return err
	})
}

// changeUser changes an account that is there and records it.
func (s *Store) changeUser(ctx context.Context, name string, e Entry, f func(*txn, *account, *Entry) error) error {
	name, err := canonical(name)
	if err != nil {
		return err
	}
	return s.change(ctx, func(tx *txn) error {
		u, err := readUser(ctx, tx, name)
		if err != nil {
			return err
		}
		if err := u.isLocal(e.Action); err != nil {
			return err
		}
		e.Object = name
		if err := f(tx, u, &e); err != nil {
			return err
		}
		return s.record(ctx, tx, e)
	})
}

// endSessions runs a statement about an account, whose sessions end by it.
func endSessions(ctx context.Context, tx *txn, name, statement, value string) error {
	if _, err := tx.ExecContext(ctx, statement, value, name); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM console_link WHERE name = $1`, name); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `DELETE FROM console_session WHERE name = $1`, name)
	return err
}

// Users returns the accounts, sorted by name.
func (s *Store) Users(ctx context.Context) ([]User, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT name, role, totp <> '', created, issuer FROM console_user ORDER BY name`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	list := []User{}
	for rows.Next() {
		var u User
		var created int64
		if err := rows.Scan(&u.Name, &u.Role, &u.TOTP, &created, &u.Issuer); err != nil {
			return nil, err
		}
		u.Created = moment(created)
		list = append(list, u)
	}
	return list, rows.Err()
}

// account is a user with what is secret of it.
type account struct {
	User
	password, secret string
	step             int64
}

// querier is a database or a transaction.
type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func readUser(ctx context.Context, q querier, name string) (*account, error) {
	a := &account{User: User{Name: name}}
	err := q.QueryRowContext(ctx, `SELECT role, password, totp, totp_step, issuer FROM console_user WHERE name = $1`, name).
		Scan(&a.Role, &a.password, &a.secret, &a.step, &a.Issuer)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("%q: %w", name, ErrNoUser)
	}
	a.TOTP = a.secret != ""
	return a, err
}
