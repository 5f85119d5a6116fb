package service

import (
	"context"
	"strings"

	"github.com/smimerelay/smimerelay/directory"
	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/relay/smtpd"
	"github.com/smimerelay/smimerelay/relay/userfile"
)

// passwords opens what logins are checked with.
func (b *builder) passwords() {
	a := b.config.Auth
	switch {
	case a.UsersFile != "":
		f, err := userfile.Open(config.Place(a.UsersFile))
		if err != nil {
			b.complain("auth.users_file", err.Error(), "create it with smimerelay user add, and check who may read it")
			return
		}
		b.parts.passwords = f
	case a.Directory != "" && !b.isKnown("auth"):
		for i, d := range b.config.Directory {
			if d.Name != a.Directory || b.isKnown(key("directory", i, "")) {
				continue
			}
			source, err := b.source(d)
			if l, ok := source.(*directory.LDAP); ok && err == nil {
				b.parts.passwords = boundPasswords{l}
				b.parts.closers = append(b.parts.closers, l.Close)
			}
		}
	}
}

// boundPasswords checks passwords by a bind to a directory.
type boundPasswords struct{ source *directory.LDAP }

// Check implements smtpd.Passwords.
func (p boundPasswords) Check(ctx context.Context, user, password string) (string, bool, error) {
	ok, err := p.source.CheckPassword(ctx, user, password)
	return strings.ToLower(user), ok, err
}

// Check implements smtpd.Passwords with those of the parts in use.
func (e exchangeable) Check(ctx context.Context, user, password string) (string, bool, error) {
	p, release := e.use()
	defer release()
	if p.passwords == nil {
		return "", false, nil // there are none any more
	}
	return p.passwords.Check(ctx, user, password)
}

var _ smtpd.Passwords = exchangeable{}
