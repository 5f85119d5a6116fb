package access

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"errors"
	"net/netip"
	"time"
)

// Session is a client that has signed in.
type Session struct {
	Name string
	// Role is that of the account now.
	Role Role
	// Issuer is the OpenID Connect provider that the account comes from; "" of local ones.
	Issuer string
	// CSRF is what a form of the session must have in it.
	CSRF string
}

// ErrNoSession is a session, a link or a token that is not there, or has expired.
var ErrNoSession = errors.New("not signed in, or no longer")

// refresh is how often the use of a session is noted.
const refresh = time.Minute

// begin begins a session with a new secret, and remembers the browser.
func (s *Store) begin(ctx context.Context, tx *txn, by Actor, device string) (got Secrets, err error) {
	name, now := by.Name, s.now()
	got.Session = newSecret()
	if _, err := tx.ExecContext(ctx, `DELETE FROM console_session WHERE expires <= $1 OR used <= $2`, now, now-int64(s.cfg.Idle.Seconds())); err != nil {
		return Secrets{}, err
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO console_session (digest, name, created, used, expires) VALUES ($1, $2, $3, $3, $4)`,
		digest(got.Session), name, now, now+int64(s.cfg.Lifetime.Seconds())); err != nil {
		return Secrets{}, err
	}
	if got.Device, err = s.rememberDevice(ctx, tx, name, device); err != nil {
		return Secrets{}, err
	}
	return got, s.record(ctx, tx, Entry{Actor: by, Action: "session.begin", Object: name})
}

// Use is what a request is to a session.
type Use bool

// Active keeps a session alive; what a page asks for by itself, as long as it is open, does
// not.
const (
	Active  Use = true
	Passive Use = false
)

// Session returns the session of a secret, or ErrNoSession.
func (s *Store) Session(ctx context.Context, secret string, use Use) (*Session, error) {
	now := s.now()
	found := &Session{CSRF: csrf(secret)}
	var used int64
	err := s.db.QueryRowContext(ctx, `SELECT u.name, u.role, u.issuer, s.used FROM console_session s JOIN console_user u ON u.name = s.name
		WHERE s.digest = $1 AND s.expires > $2 AND s.used > $3`, digest(secret), now, now-int64(s.cfg.Idle.Seconds())).
		Scan(&found.Name, &found.Role, &found.Issuer, &used)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNoSession
	}
	if err != nil {
		return nil, err
	}
	if use == Active && now-used >= int64(refresh.Seconds()) {
		// Without it the session ends earlier; what was asked for can be done.
		if _, err := s.db.ExecContext(ctx, `UPDATE console_session SET used = $1 WHERE digest = $2`, now, digest(secret)); err != nil {
			s.cfg.Log.Warn("console: the use of a session could not be noted", "error", err)
		}
	}
	return found, nil
}

// SignOut ends a session.
func (s *Store) SignOut(ctx context.Context, secret string) error {
	_, err := s.db.ExecContext(ctx, `DELETE FROM console_session WHERE digest = $1`, digest(secret))
	return err
}

// csrf is made of the secret of a session, which no other site knows.
func csrf(secret string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("csrf"))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// CreateLink makes a secret with which an account can sign in once, within lifetime.
func (s *Store) CreateLink(ctx context.Context, by Actor, name string, lifetime time.Duration) (secret string, err error) {
	secret = newSecret()
	return secret, s.changeUser(ctx, name, Entry{Actor: by, Action: "account.link"}, func(tx *txn, u *account, _ *Entry) error {
		now := s.now()
		if _, err := tx.ExecContext(ctx, `DELETE FROM console_link WHERE expires <= $1`, now); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO console_link (digest, name, expires) VALUES ($1, $2, $3)`,
			digest(secret), u.Name, now+int64(lifetime.Seconds()))
		return err
	})
}

// FollowLink begins a session by a link, which is used up by it.
func (s *Store) FollowLink(ctx context.Context, link string, from netip.Addr, device string) (got Secrets, err error) {
	err = s.change(ctx, func(tx *txn) error {
		var name string
		err := tx.QueryRowContext(ctx, `DELETE FROM console_link WHERE digest = $1 AND expires > $2 RETURNING name`, digest(link), s.now()).Scan(&name)
		if errors.Is(err, sql.ErrNoRows) {
			return ErrNoSession
		}
		if err != nil {
			return err
		}
		u, err := readUser(ctx, tx, name)
		if err != nil {
			return err
		}
		got, err = s.begin(ctx, tx, Actor{Name: name, Role: u.Role, From: fromText(from), Via: "link"}, device)
		return err
	})
	return got, err
}
