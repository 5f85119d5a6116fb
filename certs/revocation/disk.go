package revocation

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// keep is how long a file is kept that has not been fetched again.
const keep = 30 * 24 * time.Hour

// disk keeps what was fetched across restarts, so that the first messages need
// not wait for the network. Nothing in it is trusted: what is read from it is
// checked as if it had just been fetched. The zero value keeps nothing.
type disk struct{ folder string }

// newDisk makes the folder and removes what is old.
func newDisk(folder string, now time.Time) (disk, error) {
	if folder == "" {
		return disk{}, nil
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return disk{}, fmt.Errorf("revocation cache: %w", err)
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return disk{}, fmt.Errorf("revocation cache: %w", err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && info.Mode().IsRegular() && filepath.Ext(e.Name()) == ".der" && now.Sub(info.ModTime()) > keep {
			err = os.Remove(filepath.Join(folder, e.Name()))
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return disk{}, fmt.Errorf("revocation cache: %w", err)
		}
	}
	return disk{folder}, nil
}

// path is the file of a key.
func (d disk) path(key string) string {
	sum := sha256.Sum256([]byte(key))
	return filepath.Join(d.folder, hex.EncodeToString(sum[:16])+".der")
}

// open returns what is kept under a key, nil if there is nothing.
func (d disk) open(key string) io.ReadCloser {
	if d.folder == "" {
		return nil
	}
	f, err := os.Open(d.path(key))
	if err != nil {
		return nil
	}
	return f
}

// remove forgets a key.
func (d disk) remove(key string) {
	if d.folder != "" {
		os.Remove(d.path(key))
	}
}

// tee copies what is read from r into the file of a key. The copy counts once keep
// is called; done always is, at the end. A full disk costs the copy, not the answer.
func (d disk) tee(key string, r io.Reader) (_ io.Reader, keep, done func()) {
	nothing := func() {}
	if d.folder == "" {
		return r, nothing, nothing
	}
	f, err := os.CreateTemp(d.folder, "fetch-*")
	if err != nil {
		return r, nothing, nothing
	}
	w := &tolerant{w: f}
	done = func() {
		f.Close()
		os.Remove(f.Name()) // of no effect after the renaming
	}
	keep = func() {
		if w.err == nil {
			os.Rename(f.Name(), d.path(key))
		}
	}
	return io.TeeReader(r, w), keep, done
}

// tolerant swallows the errors of a writer and remembers the first.
type tolerant struct {
	w   io.Writer
	err error
}

func (t *tolerant) Write(b []byte) (int, error) {
	if t.err == nil {
		_, t.err = t.w.Write(b)
	}
	return len(b), nil
}
