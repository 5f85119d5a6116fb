//go:build unix

package filesystem

import (
	"os"
	"path/filepath"
	"testing"
)

// TestLock: a lock is of an open file, so that a second opening stands for another
// process (flock(2)).
func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	open := func() *os.File {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	first, second := open(), open()
	if err := Lock(first); err != nil {
		t.Fatal(err)
	}
	if err := TryLock(second); err == nil {
		t.Error("locked twice")
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := TryLock(second); err != nil {
		t.Errorf("not unlocked by Close: %v", err)
	}
}

func TestOwnerAndFree(t *testing.T) {
	dir := t.TempDir()
	info, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	if user, group, ok := Owner(info); !ok || user != os.Getuid() || group != os.Getgid() {
		t.Errorf("owner %d:%d, %t", user, group, ok)
	}
	if n, err := Free(dir); err != nil || n <= 0 {
		t.Errorf("free: %d, %v", n, err)
	}
	if _, err := Free(filepath.Join(dir, "none")); err == nil {
		t.Error("free space of nothing")
	}
}
