package config

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/smimerelay/smimerelay/smime/address"
)

// store checks that the place of the store is a path, or the address of a
// PostgreSQL database without a password in it.
func (d *decoder) store(s Store) {
	if !s.Shared() {
		if scheme, rest, ok := databaseScheme(s.URL); ok && !strings.HasPrefix(rest, "//") {
			remedy := "write the path alone, or postgres://USER@HOST/DATABASE"
			if strings.HasPrefix(scheme, "sqlite") || scheme == "file" {
				remedy = fmt.Sprintf("write %q", rest)
			}
			d.complain("store.url", remedy, "%q is neither a path nor a PostgreSQL address", scheme+":...")
		} else if strings.Contains(s.URL, "://") {
			d.complain("store.url", "write the path of a file, or postgres://USER@HOST/DATABASE", "%q is neither a path nor a PostgreSQL address", schemeOf(s.URL))
		} else if connectionString.MatchString(s.URL) {
			// The text may hold a password.
			d.complain("store.url", "write postgres://USER@HOST/DATABASE, and name the file with the password in password_file", "is a connection string of PostgreSQL, neither a path nor an address")
		} else if s.PasswordFile != "" {
			d.complain("store.password_file", "remove it", "has an effect only with a postgres:// address")
		}
		return
	}
	u, err := url.Parse(s.URL)
	if err != nil {
		// The error would repeat what may be a password.
		d.complain("store.url", "write postgres://USER@HOST/DATABASE", "is not a well-formed address")
		return
	}
	_, inUser := u.User.Password()
	if inUser || u.Query().Has("password") {
		d.complain("store.url", "move the password to a file, and set password_file to that file", "contains the password")
	}
}

// connectionString is what libpq accepts beside addresses.
var connectionString = regexp.MustCompile(`^\s*(host|hostaddr|port|user|dbname|sslmode|password)\s*=`)

// schemeOf is the scheme of an address: the rest may hold a password.
func schemeOf(text string) string {
	scheme, _, _ := strings.Cut(text, "://")
	return scheme + "://..."
}

// databaseScheme tells the scheme from the rest of what others write for the address of a database:
// SQLite would make a file of such a name.
func databaseScheme(text string) (scheme, rest string, ok bool) {
	scheme, rest, ok = strings.Cut(text, ":")
	scheme = strings.ToLower(scheme)
	return scheme, rest, ok && slices.Contains([]string{"sqlite", "sqlite3", "file", "mysql", "mariadb", "postgres", "postgresql"}, scheme)
}

func isDatabase(text string) bool {
	_, _, ok := databaseScheme(text)
	return ok || connectionString.MatchString(text)
}

// Shared reports whether the store is one that several nodes may use.
func (s Store) Shared() bool {
	return strings.HasPrefix(s.URL, "postgres://") || strings.HasPrefix(s.URL, "postgresql://")
}

func (d *decoder) expiry(e Expiry) {
	for i, text := range e.MailTo {
		if _, err := address.Parse(text); err != nil {
			d.complain(index("expiry.mail_to", i), "write an address such as postmaster@example.com", "%v", err)
		}
	}
	if len(e.WarnBefore) == 0 && (e.MailOwner || len(e.MailTo) > 0) {
		d.complain("expiry.warn_before", `write at least one time, such as ["30d"]`, "is empty: no warning is ever sent")
	}
}
