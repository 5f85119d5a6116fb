package store

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

func TestKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.key")
	if _, err := ReadKey(path); err == nil {
		t.Error("a file that is not there was read")
	}
	key := testpki.Must(CreateKey(path))
	if got := testpki.Must(ReadKey(path)); !bytes.Equal(got, key) || len(key) != KeySize {
		t.Errorf("%d octets, then %d", len(key), len(got))
	}
	if mode := testpki.Must(os.Stat(path)).Mode().Perm(); mode != 0o600 {
		t.Errorf("mode %o", mode)
	}
	if _, err := CreateKey(path); err == nil {
		t.Error("a key file was written over")
	}
	if got := testpki.Must(ReadKey(path)); !bytes.Equal(got, key) {
		t.Error("the key changed")
	}
	if other := testpki.Must(CreateKey(path + "2")); bytes.Equal(other, key) {
		t.Error("the same key twice")
	}
}

func TestBadKeyFiles(t *testing.T) {
	secret := base64.StdEncoding.EncodeToString([]byte("a secret that is too short"))
	for _, c := range []struct {
		name, contents string
		mode           os.FileMode
		want           string
	}{
		{"others read", secret, 0o604, "chmod 0600"},
		{"group writes", secret, 0o660, "chmod 0600"},
		{"short", secret, 0o600, "not a key"},
		{"empty", "", 0o600, "not a key"},
		{"raw", strings.Repeat("k", KeySize), 0o600, "not a key"},
		{"long", strings.Repeat("A", 5000), 0o600, "over 1024 octets"},
	} {
		path := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(path, []byte(c.contents), c.mode); err != nil {
			t.Fatal(err)
		}
		// The umask may have taken bits away.
		if err := os.Chmod(path, c.mode); err != nil {
			t.Fatal(err)
		}
		key, err := ReadKey(path)
		if err == nil || !strings.Contains(err.Error(), c.want) || c.contents != "" && strings.Contains(err.Error(), c.contents) {
			t.Errorf("%s: %d octets, %v", c.name, len(key), err)
		}
	}
	// As systemd hands over a credential: with an ACL, which shows in the
	// bits of the group.
	path := filepath.Join(t.TempDir(), "credential")
	if err := os.WriteFile(path, []byte(base64.StdEncoding.EncodeToString(sealing)), 0o440); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadKey(path); err != nil {
		t.Error(err)
	}
}
