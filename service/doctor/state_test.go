package doctor

import (
	"testing"

	"github.com/smimerelay/smimerelay/certs/store"
)

// TestPostgreSQL: a server that stores nothing is an error, once.
func TestPostgreSQL(t *testing.T) {
	for name, c := range map[string]struct {
		server store.Server
		want   []Severity
	}{
		"fine":      {store.Server{Version: oldestPostgreSQL, Durable: true}, nil},
		"old":       {store.Server{Version: oldestPostgreSQL - 1, Durable: true}, []Severity{Warning}},
		"standby":   {store.Server{Version: 15, Durable: true, Standby: true, ReadOnly: true}, []Severity{Error}},
		"read-only": {store.Server{Version: 15, Durable: true, ReadOnly: true}, []Severity{Error}},
		"forgets":   {store.Server{Version: 15}, []Severity{Warning}},
		"fast":      {store.Server{Version: 15, Durable: true, Skew: 61}, []Severity{Warning}},
	} {
		var x examination
		x.postgreSQL(c.server)
		if len(x.findings) != len(c.want) || len(c.want) > 0 && (x.findings[0].Severity != c.want[0] || x.findings[0].Remedy == "") {
			t.Errorf("%s: %+v", name, x.findings)
		}
	}
}
