package main

import (
	"os"
	"path/filepath"
	"testing"
)

// TestReadPassword: the first line, without what an editor puts around it.
func TestReadPassword(t *testing.T) {
	path := filepath.Join(t.TempDir(), "password")
	for written, want := range map[string]string{"\uFEFFsecret\r\nmore\n": "secret", "secret": "secret", "\xff\xfes\x00\n\x00": "s"} {
		if err := os.WriteFile(path, []byte(written), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := readPassword(path); got != want || err != nil {
			t.Errorf("%q: %q, %v", written, got, err)
		}
	}
}
