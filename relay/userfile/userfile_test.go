package userfile

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/passwordhash"
)

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users")
	if _, err := Open(path); err == nil {
		t.Error("a file that is missing is opened")
	}
	for _, user := range []string{"Alice", "bob@example.org"} {
		if err := Add(path, user, "secret of "+user); err != nil {
			t.Fatal(err)
		}
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	check := func(user, password, want string) {
		t.Helper()
		name, ok, err := f.Check(t.Context(), user, password)
		if err != nil || ok != (want != "") || ok && name != want {
			t.Errorf("%q, %q: %q %v %v, want %q", user, password, name, ok, err, want)
		}
	}
	check("alice", "secret of Alice", "alice")
	check("ALICE", "secret of Alice", "alice")
	check("alice", "secret of alice", "")
	check("alice", "", "")
	check("bob@example.org", "secret of bob@example.org", "bob@example.org")
	check("carol", "secret of Alice", "")
	check("carol", "", "") // the hash of those who are not known is that of ""
	check("", "", "")
	check("# users", "", "")

	// What is changed holds at once, and only that.
	if err := SetPassword(path, "ALICE", "other"); err != nil {
		t.Fatal(err)
	}
	if err := Remove(path, "bob@example.org"); err != nil {
		t.Fatal(err)
	}
	check("alice", "secret of Alice", "")
	check("alice", "other", "alice")
	check("bob@example.org", "secret of bob@example.org", "")
	if names, err := Names(path); err != nil || !slices.Equal(names, []string{"alice"}) {
		t.Errorf("names %v, %v", names, err)
	}

	// A file that is damaged is no answer.
	if err := os.WriteFile(path, []byte("alice:$argon2id$v=19$m=9999999,t=2,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := f.Check(t.Context(), "alice", "other"); ok || err == nil {
		t.Error("a damaged file answers")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := SetPassword(path, "alice", "other"); err != nil {
		t.Fatal(err)
	}
	for range cap(f.slots) {
		f.slots <- struct{}{}
	}
	if _, ok, err := f.Check(ctx, "alice", "other"); ok || err == nil {
		t.Error("a check does not wait for its place")
	}
}

func TestEditsRefuse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users")
	for user, password := range map[string]string{
		"": "x", "a b": "x", "a:b": "x", "a\nb": "x", "a*": "x", "#a": "x", strings.Repeat("a", 256): "x",
		"alice": "", "bob": strings.Repeat("x", passwordhash.Max+1), "carol": "a\x00b",
	} {
		if err := Add(path, user, password); err == nil {
			t.Errorf("%q with %d octets is added", user, len(password))
		}
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a file was made for nothing")
	}
	if err := Add(path, "alice", "x"); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{Add(path, "Alice", "y"), SetPassword(path, "bob", "y"), Remove(path, "bob"), Remove(path, "a b")} {
		if err == nil {
			t.Error("an edit that has no sense is done")
		}
	}
	if err := Add(path, "bob", "x"); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("permissions %v, %v", info.Mode(), err)
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestDamagedLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users")
	line := "alice:" + passwordhash.New("x").String() + "\n"
	for _, text := range []string{line + line, "alice\n", "a b:" + line, line + "bob:x\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
	if err := os.WriteFile(path, []byte("# users\n\n  "+line), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); err != nil {
		t.Error(err)
	}
}
