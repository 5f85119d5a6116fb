package access

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// External is someone of whom an OpenID Connect provider said who it is.
type External struct {
	// Issuer and Subject are who it is, for ever; Name is how the account is called.
	Issuer, Subject, Name string
	// Role is what it may do; "" is nothing.
	Role Role
	// Once is what the browser brought back, until OnceUntil: it counts once.
	Once      string
	OnceUntil time.Time
}

// Why someone of whom a provider says who it is does not get in.
var (
	ErrNoRole = errors.New("your account has no role in this console")
	ErrTaken  = errors.New("a different account in this console has your name")
	ErrName   = errors.New("your name cannot be that of an account in this console; the log of the gateway says why")
	ErrUsed   = errors.New("this sign-in was used already: begin again")
)

// errExternal is a change of an account that is made elsewhere.
var errExternal = errors.New("the account comes from an OpenID Connect provider, which has its role, its passwords and its codes; it can only be removed here, and it cannot have tokens")

// SignInExternal begins a session for someone of a provider. The account is made with the first
// one; its name and role are then those of the last one. Without a role it is removed.
func (s *Store) SignInExternal(ctx context.Context, e External, from netip.Addr, device string) (got Secrets, err error) {
	name, err := canonical(e.Name)
	if err != nil {
		return Secrets{}, fmt.Errorf("%w: %w", ErrName, err)
	}
	by := Actor{Name: name, Role: e.Role, From: fromText(from), Via: "openid"}
	refused := false
	err = s.change(ctx, func(tx *txn) error {
		if err := s.once(ctx, tx, e); err != nil {
			return err
		}
		if err := s.follow(ctx, tx, by, e); err != nil {
			return err
		}
		if refused = e.Role == ""; refused { // what was removed stays so
			return nil
		}
		got, err = s.begin(ctx, tx, by, device)
		return err
	})
	if err == nil && refused {
		err = ErrNoRole
	}
	return got, err
}

// once refuses what was brought back before.
func (s *Store) once(ctx context.Context, tx *txn, e External) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM console_once WHERE expires <= $1`, s.now()); err != nil {
		return err
	}
	added, err := tx.ExecContext(ctx, `INSERT INTO console_once (digest, expires) VALUES ($1, $2) ON CONFLICT (digest) DO NOTHING`, digest(e.Once), e.OnceUntil.Unix())
	if err != nil {
		return err
	}
	if n, err := added.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, ErrUsed)
	}
	return nil
}

// follow makes the account what the provider says.
func (s *Store) follow(ctx context.Context, tx *txn, by Actor, e External) error {
	var name string
	var role Role
	err := tx.QueryRowContext(ctx, `SELECT name, role FROM console_user WHERE issuer = $1 AND subject = $2`, e.Issuer, e.Subject).Scan(&name, &role)
	known := err == nil
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if known && name == by.Name && role == e.Role {
		return nil
	}
	if known && (name != by.Name || e.Role == "") {
		if _, err := tx.ExecContext(ctx, `DELETE FROM console_user WHERE name = $1`, name); err != nil {
			return err
		}
		if err := s.record(ctx, tx, Entry{Actor: by, Action: "account.remove", Object: name, Before: map[string]any{"role": role, "issuer": e.Issuer}}); err != nil {
			return err
		}
		known = false
	}
	switch {
	case e.Role == "":
		return nil
	case known:
		if _, err := tx.ExecContext(ctx, `UPDATE console_user SET role = $1 WHERE name = $2`, string(e.Role), name); err != nil {
			return err
		}
		return s.record(ctx, tx, Entry{Actor: by, Action: "account.role", Object: name, Before: map[string]any{"role": role}, After: map[string]any{"role": e.Role}})
	}
	return s.addExternal(ctx, tx, by, e)
}

// addExternal adds an account. One of another kind, or of someone else, keeps its name.
func (s *Store) addExternal(ctx context.Context, tx *txn, by Actor, e External) error {
	if _, err := readUser(ctx, tx, by.Name); err == nil {
		return fmt.Errorf("account %q: %w", by.Name, ErrTaken)
	} else if !errors.Is(err, ErrNoUser) {
		return err
	}
	if err := e.Role.check(); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO console_user (name, role, password, created, issuer, subject) VALUES ($1, $2, '', $3, $4, $5)`,
		by.Name, string(e.Role), s.now(), e.Issuer, e.Subject); err != nil {
		return err
	}
	return s.record(ctx, tx, Entry{Actor: by, Action: "account.add", Object: by.Name, After: map[string]any{"role": e.Role, "issuer": e.Issuer, "subject": e.Subject}})
}

// isLocal refuses to change an account that a provider has.
func (u *account) isLocal(action string) error {
	if u.Issuer == "" || strings.HasSuffix(action, ".remove") {
		return nil
	}
	return fmt.Errorf("account %q: %w", u.Name, errExternal)
}
