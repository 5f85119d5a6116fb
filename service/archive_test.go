package service

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/smimerelay/smimerelay/smime/message"
)

func TestArchiveStores(t *testing.T) {
	dir := t.TempDir()
	a := archive{dir}
	const text = "From: a@b.example\r\n\r\nhello\r\n"
	m, err := message.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // a client that tries again
		place, err := a.store(m)
		if err != nil || place != fmt.Sprintf("%x.eml", sha256.Sum256([]byte(text))) {
			t.Fatalf("%q, %v", place, err)
		}
		info, err := os.Stat(filepath.Join(dir, place))
		if err != nil || info.Mode() != 0o600 {
			t.Errorf("%v, %v", info, err)
		}
		if got, err := os.ReadFile(filepath.Join(dir, place)); string(got) != text || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	}
	if files, err := os.ReadDir(dir); len(files) != 1 || err != nil {
		t.Errorf("%v, %v", files, err)
	}
	if _, err := (archive{filepath.Join(dir, "missing")}).store(m); err == nil {
		t.Error("stored in no folder")
	}
	if err := os.Mkdir(filepath.Join(dir, "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	blocked := archive{filepath.Join(dir, "full")}
	place, err := a.store(m)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "full", place), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := blocked.store(m); err == nil {
		t.Error("stored where a folder is in the way")
	}
	if files, err := os.ReadDir(filepath.Join(dir, "full")); len(files) != 1 || err != nil {
		t.Errorf("something is left: %v, %v", files, err)
	}
}
