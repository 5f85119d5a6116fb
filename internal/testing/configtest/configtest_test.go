package configtest

import (
	"testing"

	"github.com/BurntSushi/toml"
)

// TestElsewhere: what the text names stays, however it is written, and the rest is
// in the folder.
func TestElsewhere(t *testing.T) {
	for _, text := range []string{
		"", "store.url = \"mine\"\n", "[store]\nurl = \"mine\"\n[queue]\n[[rule]]\nname = \"a\"",
	} {
		var got struct {
			Store   struct{ URL, Key_file string }
			Queue   struct{ Path string }
			NextHop struct{ Address string } `toml:"next_hop"`
		}
		if _, err := toml.Decode(Elsewhere(text, "/dir"), &got); err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		url := "mine"
		if text == "" {
			url = "/dir/store.db"
		}
		if got.Store.URL != url || got.Store.Key_file != "/dir/store.key" || got.Queue.Path != "/dir/queue.db" || got.NextHop.Address != "unix:/dir/next-hop" {
			t.Errorf("%q: %+v", text, got)
		}
	}
}
