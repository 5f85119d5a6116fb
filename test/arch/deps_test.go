package arch

import (
	"slices"
	"strings"
	"testing"
)

// unreachable are, for a package, the packages that it must not depend on, by
// whatever way; a name that ends in "/" means all below. A listener that reaches the
// policy decides by itself one day, and a seam that reaches a database is none.
var unreachable = map[string][]string{
	"relay":            {ours + "enforce", ours + "certs/", ours + "directory/", ours + "smime/cms", sql, postgres, sqlite, ldap, river, "net/http", "os/exec"},
	"relay/milter":     {ours + "enforce", ours + "certs/", ours + "directory/", ours + "smime/cms", ours + "relay/queue", sql, postgres, sqlite, ldap, river, "net/http", "os/exec"},
	"relay/smtpd":      {ours + "enforce", ours + "certs/", ours + "directory/", ours + "smime/cms", ours + "relay/queue", sql, postgres, sqlite, ldap, river, "net/http", "os/exec"},
	"relay/smtpclient": {ours + "enforce", ours + "certs/", ours + "directory/", ours + "smime/cms", ours + "relay/queue", sql, postgres, sqlite, ldap, river, "net/http", "os/exec"},
	"relay/nexthop":    {ours + "enforce", ours + "certs/", ours + "directory/", ours + "smime/cms", ours + "relay/queue", sql, postgres, sqlite, ldap, river, "os/exec"},
	"relay/queue":      {ours + "enforce", ours + "certs/", ours + "directory/", ours + "smime/cms", ours + "relay/gateway", ldap, "net/http"},
	"enforce":          {ours + "certs/", ours + "directory/", sql, postgres, sqlite, ldap, river, "net/http", "os/exec"},
	"smime/cms":        {ours + "certs/", ours + "directory/", sql, postgres, sqlite, ldap, river, "net/http", "os/exec"},
	"smime":            {ours + "directory/", ours + "relay/", ours + "certs/file", ours + "certs/path", sql, postgres, sqlite, ldap, river, "net/http", "os/exec"},
}

const (
	ours     = module
	sql      = "database/sql"
	postgres = "github.com/jackc/"
	sqlite   = "modernc.org/"
	ldap     = "github.com/go-ldap/"
	river    = "github.com/riverqueue/"
)

func TestDependencies(t *testing.T) {
	all := packages(t)
	for name, list := range unreachable {
		p, ok := all[name]
		if !ok {
			t.Errorf("package %s does not exist", name)
		}
		for _, dep := range p.Deps {
			if slices.ContainsFunc(list, func(entry string) bool { return reaches(dep, entry) }) {
				t.Errorf("%s reaches %s", name, dep)
			}
		}
	}
}

func reaches(dep, entry string) bool {
	if top, ok := strings.CutSuffix(entry, "/"); ok {
		return strings.HasPrefix(dep+"/", top+"/")
	}
	return dep == entry
}

// TestReaches keeps the test able to fail.
func TestReaches(t *testing.T) {
	for _, c := range []struct {
		dep, entry string
		want       bool
	}{
		{sql, sql, true},
		{sql + "/driver", sql, false},
		{postgres + "pgx/v5", postgres, true},
		{ours + "certs", ours + "certs/", true},
		{ours + "certs/store", ours + "certs/", true},
		{ours + "certsx", ours + "certs/", false},
	} {
		if got := reaches(c.dep, c.entry); got != c.want {
			t.Errorf("%s, %s: %t", c.dep, c.entry, got)
		}
	}
}
