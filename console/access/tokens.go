package access

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Token is a key to the API, without its secret.
type Token struct {
	Label string `json:"label"`
	Owner string `json:"owner"`
	// Role is what it may do, as long as its owner may, too.
	Role    Role      `json:"role"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
}

// tokenPrefix is what scanners for secrets find.
const tokenPrefix = "smimerelay_"

// maxTokenLifetime is that of a token.
const maxTokenLifetime = 366 * 24 * time.Hour

// errNoToken is a token that is not there.
var errNoToken = errors.New("there is no such token; smimerelay console token list shows them")

// CreateToken makes a token and returns its secret, which is not stored.
func (s *Store) CreateToken(ctx context.Context, by Actor, label, owner string, role Role, lifetime time.Duration) (secret string, err error) {
	if label, err = canonical(label); err != nil {
		return "", fmt.Errorf("label of the token: %w", err)
	}
	if err := role.check(); err != nil {
		return "", err
	}
	if lifetime <= 0 || lifetime > maxTokenLifetime {
		return "", errors.New("a token lasts one year at most")
	}
	secret = tokenPrefix + newSecret()
	return secret, s.changeUser(ctx, owner, Entry{Actor: by, Action: "token.add"}, func(tx *txn, u *account, e *Entry) error {
		if !u.Role.Includes(role) {
			return fmt.Errorf("the account %q has the role %s: its token cannot be %s", u.Name, u.Role, role)
		}
		var n int
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM console_token WHERE label = $1`, label).Scan(&n); err != nil {
			return err
		}
		if n > 0 {
			return fmt.Errorf("token %q: %w", label, ErrExists)
		}
		now := s.now()
		e.Object, e.After = label, map[string]any{"owner": u.Name, "role": role, "expires": moment(now + int64(lifetime.Seconds()))}
		_, err := tx.ExecContext(ctx, `INSERT INTO console_token (digest, label, owner, role, created, expires) VALUES ($1, $2, $3, $4, $5, $6)`,
			digest(secret), label, u.Name, string(role), now, now+int64(lifetime.Seconds()))
		return err
	})
}

// RemoveToken removes a token. It holds at once.
func (s *Store) RemoveToken(ctx context.Context, by Actor, label string) error {
	label, err := canonical(label)
	if err != nil {
		return err
	}
	return s.change(ctx, func(tx *txn) error {
		result, err := tx.ExecContext(ctx, `DELETE FROM console_token WHERE label = $1`, label)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, fmt.Errorf("%q: %w", label, errNoToken))
		}
		return s.record(ctx, tx, Entry{Actor: by, Action: "token.remove", Object: label})
	})
}

// Tokens returns the tokens, sorted by label, expired ones too.
func (s *Store) Tokens(ctx context.Context) ([]Token, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT label, owner, role, created, expires FROM console_token ORDER BY label`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	list := []Token{}
	for rows.Next() {
		var t Token
		var created, expires int64
		if err := rows.Scan(&t.Label, &t.Owner, &t.Role, &created, &expires); err != nil {
			return nil, err
		}
		t.Created, t.Expires = moment(created), moment(expires)
		list = append(list, t)
	}
	return list, rows.Err()
}

// Token returns the token of a secret with the role that it has now, or ErrNoSession.
func (s *Store) Token(ctx context.Context, secret string) (*Token, error) {
	t := &Token{}
	var created, expires int64
	var owned Role
	err := s.db.QueryRowContext(ctx, `SELECT t.label, t.owner, t.role, t.created, t.expires, u.role FROM console_token t
		JOIN console_user u ON u.name = t.owner WHERE t.digest = $1 AND t.expires > $2`, digest(secret), s.now()).
		Scan(&t.Label, &t.Owner, &t.Role, &created, &expires, &owned)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNoSession
	}
	t.Role, t.Created, t.Expires = least(t.Role, owned), moment(created), moment(expires)
	return t, err
}
