package postgresdb_test

import (
	"context"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/postgresdb"
	"github.com/smimerelay/smimerelay/internal/testing/pgtest"
)

// TestTrouble: whatever is wrong with the address of a database, or the server, the error is
// short and says what to do.
func TestTrouble(t *testing.T) {
	s, err := pgtest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	database := s.Database(t)
	secret := s.Secret(t, database)
	change := func(text string, do func(*url.URL)) string {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		do(u)
		return u.String()
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := closed.Addr().String()
	closed.Close()
	for name, c := range map[string]struct{ url, password, text, remedy string }{
		"wrong database": {change(database, func(u *url.URL) { u.Path = "/none" }), "", `database "none" does not exist`, "createdb"},
		"wrong user":     {change(database, func(u *url.URL) { u.User = url.User("no") }), "", `role "no" does not exist`, "createuser"},
		"wrong password": {secret, "guess", "password authentication failed", "store.password_file"},
		"no password":    {secret, "", "password", "store.password_file"},
		"wrong host":     {"postgres://gw@db.invalid/x", "", `the host "db.invalid" cannot be resolved: `, "correct the host"},
		"server down":    {"postgres://gw@" + port + "/x", "", "no server listens at " + port, "start PostgreSQL there"},
		"two down":       {"postgres://gw@" + port + "," + port + "/x", "", "no server listens at " + port, "start PostgreSQL there"},
		"no socket":      {"postgres://gw@/x?host=" + url.QueryEscape(filepath.Join(t.TempDir(), "no")), "", "there is no socket of a server in ", "start PostgreSQL there"},
	} {
		cfg, err := postgresdb.Parse(c.url, c.password)
		if err != nil {
			t.Fatal(err)
		}
		db, err := postgresdb.Open(context.Background(), cfg, 1)
		if err == nil {
			t.Errorf("%s: opened", name)
			db.Close()
			continue
		}
		if text := err.Error(); !strings.Contains(text, c.text) || strings.Contains(text, "\n") || !strings.Contains(postgresdb.Remedy(err), c.remedy) {
			t.Errorf("%s: %q; %q", name, text, postgresdb.Remedy(err))
		}
	}
	if got := postgresdb.Remedy(context.Canceled); got != "" {
		t.Errorf("a remedy for what is not known: %q", got)
	}
}
