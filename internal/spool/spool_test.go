package spool

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
)

func open(t *testing.T) *File {
	t.Helper()
	f, err := New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// What is written in whatever steps is read, and is not what is on the disk.
func TestFile(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	text := []byte(strings.Repeat("only this process may read this\r\n", 5000))
	f := open(t)
	for rest, r := text, rand.New(rand.NewPCG(1, 2)); len(rest) > 0; {
		n := min(len(rest), 1+r.IntN(2*bufferSize))
		if k, err := f.Write(rest[:n]); k != n || err != nil {
			t.Fatal(k, err)
		}
		rest = rest[n:]
	}
	if f.Size() != int64(len(text)) {
		t.Errorf("size %d", f.Size())
	}
	if err := iotest.TestReader(f, text); err != nil {
		t.Error(err)
	}
	disk, err := io.ReadAll(io.NewSectionReader(f.f, 0, f.size))
	if err != nil || len(disk) != len(text) || bytes.Contains(disk, []byte("process")) {
		t.Errorf("%v: %.100q", err, disk)
	}
	other := open(t)
	if _, err := other.Write(text); err != nil {
		t.Fatal(err)
	}
	again, err := io.ReadAll(io.NewSectionReader(other.f, 0, other.size))
	if err != nil || bytes.Equal(again, disk) {
		t.Errorf("two files have one key (%v)", err)
	}
}

// No name is left of a file, while it is open on Unix, and when it is closed anywhere.
func TestNoName(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	f := open(t)
	names := func() []string {
		found, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	if found := names(); len(found) > 0 && runtime.GOOS != "windows" {
		t.Errorf("open: %v", found)
	}
	if err := f.Close(); err != nil || len(names()) > 0 {
		t.Errorf("closed: %v, %v", err, names())
	}
}

// A folder that is not there, and an offset that cannot be, are errors.
func TestErrors(t *testing.T) {
	f := open(t)
	if _, err := f.Seek(-1, io.SeekStart); err == nil {
		t.Error("before the start")
	}
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "none"))
	if _, err := New(); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "TMPDIR") {
		t.Error(err)
	}
	if err := os.Remove(f.f.Name()); err == nil && runtime.GOOS != "windows" {
		t.Error("the file had a name")
	}
}
