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
	ErrBusy    = errors.New("too many clients sign in at this moment; try again")
)

// After so many failures within failureMemory no more passwords are checked, until it has
// passed since the last one. Programs on this host, a reverse proxy perhaps, are counted by
// name alone, and browsers that are known to belong to an account by themselves: who guesses
// at an account does not lock it for its owner.
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
	// Device is the secret by which the browser is known; "" without.
	Device string
}

// Secrets are what a client that has signed in shows from then on.
type Secrets struct {
	Session string
	// Device is that of its browser, which it shows when it signs in the next time.
	Device string
}

// SignIn checks credentials and begins a session.
func (s *Store) SignIn(ctx context.Context, c Credentials) (got Secrets, err error) {
	a := attempt{name: strings.ToLower(c.Name), from: c.From, device: c.Device}
	if a.known, err = s.knownDevice(ctx, a.name, c.Device); err != nil {
		return Secrets{}, err
	}
	if err := s.count(ctx, a); err != nil {
		return Secrets{}, err
	}
	u, err := readUser(ctx, s.db, a.name)
	if err != nil && !errors.Is(err, ErrNoUser) {
		return Secrets{}, err
	}
	right, err := s.checkPassword(ctx, u, c.Password, a.known)
	if errors.Is(err, ErrBusy) { // it was no guess
		err = errors.Join(err, s.change(ctx, func(tx *txn) error { return a.undo(ctx, tx) }))
	}
	if err != nil {
		return Secrets{}, err
	}
	if !right {
		return Secrets{}, ErrRefused
	}
	err = s.change(ctx, func(tx *txn) error {
		// Read again: two clients must not use one code.
		checked := u.password
		if u, err = readUser(ctx, tx, a.name); err != nil {
			return err
		}
		if u.password != checked { // it was changed while the one before was checked
			return ErrRefused
		}
		if err := s.useCode(ctx, tx, u, c.Code); err != nil {
			return err
		}
		if err := a.forget(ctx, tx); err != nil {
			return err
		}
		got, err = s.begin(ctx, tx, Actor{Name: u.Name, Role: u.Role, From: fromText(c.From), Via: "console"}, c.Device)
		return err
	})
	return got, err
}

// checkPassword reports whether a password is that of the account; one that is not there
// takes as long. Each check takes memory and time, so they wait for each other, some at
// most: known browsers among themselves, and all others.
func (s *Store) checkPassword(ctx context.Context, u *account, password string, known bool) (bool, error) {
	queue := s.others
	if known {
		queue = s.known
	}
	leave, err := queue.enter(ctx)
	if err != nil {
		return false, err
	}
	defer leave()
	h := s.dummy
	has := u != nil && u.password != ""
	if has {
		if h, err = passwordhash.Parse(u.password); err != nil {
			return false, err
		}
	}
	if len(password) > passwordhash.Max {
		password = ""
	}
	right := h.Is(password)
	return has && right && password != "", nil
}

// checks are those that are under way and those that wait.
type checks struct{ waiting, slots chan struct{} }

// maxWaiting is how many clients wait; others are sent away. That is more than sign in at
// the same time, and fewer than the connections of the console.
const maxWaiting = 32

func newChecks(atOnce int) checks {
	return checks{make(chan struct{}, atOnce+maxWaiting), make(chan struct{}, atOnce)}
}

// enter waits for a turn.
func (c checks) enter(ctx context.Context) (leave func(), err error) {
	select {
	case c.waiting <- struct{}{}:
	default:
		return nil, ErrBusy
	}
	select {
	case c.slots <- struct{}{}:
		return func() { <-c.slots; <-c.waiting }, nil
	case <-ctx.Done():
		<-c.waiting
		return nil, context.Cause(ctx)
	}
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

// attempt is one to sign in.
type attempt struct {
	name   string
	from   netip.Addr
	device string
	known  bool // the browser is one of the account
}

// bound is the most failures that are counted by a key.
type bound struct {
	key  string
	most int
}

// bounds are those that hold for an attempt.
func (a attempt) bounds() []bound {
	switch {
	case a.known:
		return []bound{{digest("device:" + a.device), maxByName}}
	case !remote(a.from):
		return []bound{{nameKey(a.name), maxByName}}
	}
	return []bound{{nameKey(a.name), maxByName}, {addressKey(a.from), maxByAddress}}
}

// count counts an attempt as failed before it is made: attempts at the same time are no
// way around the limit.
func (s *Store) count(ctx context.Context, a attempt) error {
	now := s.now()
	return s.change(ctx, func(tx *txn) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM console_failure WHERE last <= $1`, now-int64(failureMemory.Seconds())); err != nil {
			return err
		}
		// Counted first and compared afterwards: clients at the same time wait for each
		// other by the row. A refusal undoes the count.
		for _, b := range a.bounds() {
			var n int
			err := tx.QueryRowContext(ctx, `INSERT INTO console_failure (key, count, last) VALUES ($1, 1, $2)
				ON CONFLICT (key) DO UPDATE SET count = console_failure.count + 1, last = $2 RETURNING count`, b.key, now).Scan(&n)
			if err == nil && n > b.most {
				err = ErrLocked
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// undo undoes that this attempt was counted.
func (a attempt) undo(ctx context.Context, tx *txn) error {
	for _, b := range a.bounds() {
		if _, err := tx.ExecContext(ctx, `UPDATE console_failure SET count = count - 1 WHERE key = $1`, b.key); err != nil {
			return err
		}
	}
	return nil
}

// forget undoes what attempts have counted. Of an address only this attempt is: one account
// of one's own must not allow to guess at others.
func (a attempt) forget(ctx context.Context, tx *txn) error {
	if err := a.undo(ctx, tx); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `DELETE FROM console_failure WHERE key = $1`, a.bounds()[0].key)
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
