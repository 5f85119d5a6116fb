package config

import (
	"strings"
	"testing"
)

// TestNoTestUsesABuiltInPlace: where a gateway is installed, a test that opened
// one of these would read its store, take its port, or hand mail to its server.
func TestNoTestUsesABuiltInPlace(t *testing.T) {
	c := Default()
	places := []string{File, c.Store.URL, c.Store.KeyFile, c.Queue.Path, c.Queue.Path + "-wal", "/var/lib/smimerelay/x/../queue.db", c.NextHop.Address}
	for _, l := range c.Listeners {
		places = append(places, l.Address)
	}
	for _, place := range places {
		if !panics(place) {
			t.Errorf("%q may be opened by a test", place)
		}
	}
	for _, place := range []string{"", t.TempDir() + "/store.db", "127.0.0.1:0", "unix:/tmp/x", "postgres://a@127.0.0.1:10025/b"} {
		if panics(place) {
			t.Errorf("%q may not be opened by a test", place)
		}
	}
}

func panics(place string) (did bool) {
	defer func() {
		r := recover()
		text, _ := r.(string)
		did = strings.Contains(text, "belongs to the gateway of this machine")
	}()
	Place(place)
	return false
}
