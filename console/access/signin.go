package access

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"

	"github.com/smimerelay/smimerelay/internal/passwordhash"
)

// Why a client may not sign in. ErrRefused does not tell what was wrong, and names that
// are not known are locked like others.
var (
	ErrRefused = errors.New("the name, the password or the one-time code is wrong")
	ErrLocked  = errors.New("too many failed attempts; try again in 15 minutes")
)

// After so many failures within failureMemory no more passwords are checked, until it has
// passed since the last one. Programs on this host, a reverse proxy perhaps, are counted by
// name alone.
const (
	maxByName     = 5
	maxByAddress  = 20
	failureMemory = 15 * time.Minute
)

// Credentials are what a client shows to sign in.
type Credentials struct {
	Name, Password string
	// Code is the one-time code; "" without.
	Code string
	// From is the address of the client; the zero value is a unix socket.
	From netip.Addr
}

// SignIn checks credentials and begins a session, whose secret it returns.
func (s *Store) SignIn(ctx context.Context, c Credentials) (secret string, err error) {
	name := strings.ToLower(c.Name)
	if err := s.attempt(ctx, name, c.From); err != nil {
		return "", err
	}
	u, err := readUser(ctx, s.db, name)
	if err != nil && !errors.Is(err, ErrNoUser) {
		return "", err
	}
	right, err := s.checkPassword(ctx, u, c.Password)
	if err != nil {
		return "", err
	}
	if !right {
		return "", ErrRefused
	}
	err = s.change(ctx, func(tx *txn) error {
		// Read again: two clients must not use one code.
		if u, err = readUser(ctx, tx, name); err != nil {
			return err
		}
		if err := s.useCode(ctx, tx, u, c.Code); err != nil {
			return err
		}
		if err := forgetFailures(ctx, tx, name, c.From); err != nil {
			return err
		}
		secret, err = s.begin(ctx, tx, u.Name, Actor{Name: u.Name, Role: u.Role, From: fromText(c.From), Via: "console"})
		return err
	})
	return secret, err
}

// checkPassword reports whether a password is that of the account; one that is not there
// takes as long. Each check takes memory, so they wait for each other.
func (s *Store) checkPassword(ctx context.Context, u *account, password string) (bool, error) {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
	h := s.dummy
	known := u != nil && u.password != ""
	if known {
		var err error
		if h, err = passwordhash.Parse(u.password); err != nil {
			return false, err
		}
	}
	if len(password) > passwordhash.Max {
		password = ""
	}
	right := h.Is(password)
	return known && right && password != "", nil
}

// useCode accepts a one-time code of the step now, the one before or the one after, once.
func (s *Store) useCode(ctx context.Context, tx *txn, u *account, code string) error {
	if u.secret == "" {
		return nil
	}
	step, ok := findStep(u.secret, code, s.cfg.Clock())
	if !ok || step <= u.step {
		return ErrRefused
	}
	_, err := tx.ExecContext(ctx, `UPDATE console_user SET totp_step = $1 WHERE name = $2`, step, u.Name)
	return err
}

// period is that of the codes (RFC 6238 section 4.1).
const period = 30

// findStep returns the time step that a code is of. RFC 6238 section 5.2 allows for a
// clock that is wrong by one.
func findStep(secret, code string, now time.Time) (int64, bool) {
	current := now.Unix() / period
	code = strings.ReplaceAll(code, " ", "")
	for _, step := range []int64{current, current - 1, current + 1} {
		ok, err := hotp.ValidateCustom(code, uint64(step), secret, hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
		if ok && err == nil {
			return step, true
		}
	}
	return 0, false
}

// attempt counts an attempt as failed before it is made: attempts at the same time are no
// way around the limit.
func (s *Store) attempt(ctx context.Context, name string, from netip.Addr) error {
	now := s.now()
	return s.change(ctx, func(tx *txn) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM console_failure WHERE last <= $1`, now-int64(failureMemory.Seconds())); err != nil {
			return err
		}
		// Counted first and compared afterwards: clients at the same time wait for each
		// other by the row. A refusal undoes the count.
		count := func(key string, most int) error {
			var n int
			err := tx.QueryRowContext(ctx, `INSERT INTO console_failure (key, count, last) VALUES ($1, 1, $2)
				ON CONFLICT (key) DO UPDATE SET count = console_failure.count + 1, last = $2 RETURNING count`, key, now).Scan(&n)
			if err == nil && n > most {
				err = ErrLocked
			}
			return err
		}
		if err := count(nameKey(name), maxByName); err != nil || !remote(from) {
			return err
		}
		return count(addressKey(from), maxByAddress)
	})
}

// forgetFailures undoes what attempts have counted. Of an address only this attempt is:
// one account of one's own must not allow to guess at others.
func forgetFailures(ctx context.Context, tx *txn, name string, from netip.Addr) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM console_failure WHERE key = $1`, nameKey(name)); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `UPDATE console_failure SET count = count - 1 WHERE key = $1`, addressKey(from))
	return err
}

// nameKey and addressKey are what failures are counted by. What was typed as a name may be
// a password: it is not stored.
func nameKey(name string) string { return digest("name:" + name) }

func addressKey(from netip.Addr) string {
	from = from.Unmap()
	bits := from.BitLen()
	if from.Is6() {
		bits = 64 // one client has all of such a network
	}
	p, err := from.Prefix(bits)
	if err != nil {
		return ""
	}
	return digest("address:" + p.String())
}

// remote reports whether a client is on another host.
func remote(from netip.Addr) bool { return from.IsValid() && !from.Unmap().IsLoopback() }

// fromText is an address for the audit log.
func fromText(from netip.Addr) string {
	if !from.IsValid() {
		return "unix socket"
	}
	return from.Unmap().String()
}
