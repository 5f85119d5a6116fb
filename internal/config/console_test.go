package config

import (
	"strings"
	"testing"
)

// TestWhereBrowsersFindTheConsole: cookies are for HTTPS alone wherever browsers use it, and a
// link leads there.
func TestWhereBrowsersFindTheConsole(t *testing.T) {
	for _, c := range []struct {
		address, url, certificate string
		secure                    bool
		root                      string
	}{
		{"127.0.0.1:8443", "", "", false, "http://127.0.0.1:8443"},
		{"127.0.0.1:8443", "", "gw.pem", true, "https://127.0.0.1:8443"},
		{"127.0.0.1:8443", "https://console.example.com", "", true, "https://console.example.com"},
		{"unix:/run/console.sock", "", "", true, "https://HOST"},
		{"unix:/run/console.sock", "https://console.example.com", "", true, "https://console.example.com"},
		{"unix:/run/console.sock", "http://localhost:8080", "", false, "http://localhost:8080"},
		{"systemd:console", "", "gw.pem", true, "https://HOST"},
	} {
		got := Console{Address: c.address, URL: c.url, TLSCert: c.certificate}
		if got.Secure() != c.secure || got.Root() != c.root {
			t.Errorf("%+v: %t, %s", c, got.Secure(), got.Root())
		}
	}
	for text, want := range map[string]string{
		`url = "https://console.example.com/"`:  "is not the address",
		`url = "console.example.com"`:           "is not the address",
		`url = "https://x.example?y"`:           "is not the address",
		`url = "http://console.example.com"`:    "in the clear",
		`client_header = "x-forwarded-for"`:     "",
		`client_header = "X-Forwarded-For: x"`:  "is not the name",
		`client_header = "X-Real-IP"`:           "",
		`url = "https://console.example.com:8"`: "",
	} {
		_, problems := Parse("config.toml", []byte("[console]\n"+text))
		found := ""
		for _, p := range problems {
			if strings.HasPrefix(p.Key, "console.") {
				found += p.String()
			}
		}
		if want == "" && found != "" || !strings.Contains(found, want) {
			t.Errorf("%s: %q", text, found)
		}
	}
}
