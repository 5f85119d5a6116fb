package service

import (
	"testing"

	"github.com/smimerelay/smimerelay/internal/config"
)

func TestReachable(t *testing.T) {
	for name, tc := range map[string]struct {
		listener config.Listener
		want     string
	}{
		"LMTP here":                 {config.Listener{Protocol: "lmtp", Address: "127.0.0.1:10025"}, ""},
		"LMTP on a socket":          {config.Listener{Protocol: "lmtp", Address: "unix:/run/x"}, ""},
		"LMTP for all":              {config.Listener{Protocol: "lmtp", Address: ":10025"}, "listener[0].address"},
		"passwords here":            {config.Listener{Protocol: "smtp", Address: "[::1]:25", Auth: "always"}, ""},
		"passwords over TLS":        {config.Listener{Protocol: "smtp", Address: "0.0.0.0:25", Auth: "tls"}, ""},
		"passwords in the clear":    {config.Listener{Protocol: "smtp", Address: "0.0.0.0:25", Auth: "always"}, "listener[0].auth"},
		"all certificates of a CA":  {config.Listener{Protocol: "smtp", Address: "0.0.0.0:25", ClientNames: []string{"*"}}, "listener[0].client_names"},
		"some certificates of a CA": {config.Listener{Protocol: "smtp", Address: "0.0.0.0:25", ClientNames: []string{"*.example.org"}}, ""},
	} {
		got := ""
		for _, p := range reachable(&config.Config{Listeners: []config.Listener{tc.listener}}) {
			got += p.Key
		}
		if got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}
