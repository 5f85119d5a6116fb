package service

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/relay/smtpclient"
)

// TestLogin: a secret is one line of a file or of what a program prints, read each time.
func TestLogin(t *testing.T) {
	if login(&config.Route{}) != nil {
		t.Error("a route without auth logs in")
	}
	file := filepath.Join(t.TempDir(), "secret")
	a := login(&config.Route{Auth: "login", User: "gw", SecretFile: file})
	if a.Mechanism != smtpclient.Login || a.User != "gw" {
		t.Errorf("%+v", a)
	}
	for text, want := range map[string]string{"a b\n": "a b", "new\r\n": "new", "two\nlines\n": "", "": "", "\n": "", "n\x00l": ""} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := a.Secret(t.Context()); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for script, want := range map[string]string{
		"echo token": "token", "exit 0": "", "echo token; exit 1": "", "echo why >&2; exit 1": "why",
	} {
		a := login(&config.Route{Auth: "xoauth2", User: "gw", TokenCommand: []string{"/bin/sh", "-c", script}})
		got, err := a.Secret(t.Context())
		switch {
		case want == "token" && (got != "token" || err != nil):
			t.Errorf("%q: %q, %v", script, got, err)
		case want != "token" && (err == nil || got != "" || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "token\n")):
			t.Errorf("%q: %q, %v", script, got, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	a = login(&config.Route{Auth: "xoauth2", User: "gw", TokenCommand: []string{"/bin/sh", "-c", "exec sleep 100"}})
	if _, err := a.Secret(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a program that does not end: %v", err)
	}
}
