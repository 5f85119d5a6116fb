package filesystem

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestReplace: there is the old file or the new one, and nothing beside them.
func TestReplace(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "file")
	failed := errors.New("x")
	for _, step := range []struct {
		name  string
		write func(*os.File) error
		want  string
		err   error
	}{
		{"the first", Content([]byte("one")), "one", nil},
		{"another", Content([]byte("two")), "two", nil},
		{"half of one", func(f *os.File) error { return errors.Join(Content([]byte("thr"))(f), failed) }, "two", failed},
		{"a closed one", (*os.File).Close, "two", os.ErrClosed},
	} {
		err := Replace(path, step.write)
		got, _ := os.ReadFile(path)
		names, _ := os.ReadDir(folder)
		if !errors.Is(err, step.err) || string(got) != step.want || len(names) != 1 {
			t.Errorf("%s: %q, %v, %d names", step.name, got, err, len(names))
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if err := Replace(filepath.Join(folder, "absent", "file"), Content(nil)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a folder: %v", err)
	}
	full := filepath.Join(folder, "folder")
	if err := os.MkdirAll(filepath.Join(full, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Replace(full, Content(nil)); err == nil {
		t.Error("a folder was replaced")
	}
	if names, _ := os.ReadDir(folder); len(names) != 2 {
		t.Errorf("%d names are left", len(names))
	}
}
