package service

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/internal/postgresdb"
)

// MissingKeyError is a store with private keys without the key file that opens them.
type MissingKeyError struct {
	Path string // "" where none is configured
	Keys int
}

// Error says how many keys that are.
func (e *MissingKeyError) Error() string {
	if e.Path == "" {
		return fmt.Sprintf("no key file is configured, but %d private keys in the store are encrypted with one", e.Keys)
	}
	return fmt.Sprintf("key file %q is missing, but %d private keys in the store are encrypted with it", e.Path, e.Keys)
}

// Trouble is why the store or the queue cannot be opened.
type Trouble struct {
	// Key is the option that the error is about.
	Key string
	// Text is what the error says and, where it does not, what is wrong with the disk.
	Text   string
	Remedy string // "" where the text has it
}

// Error is the trouble in one line, with the file that has the option.
func (t Trouble) Error(file string) error {
	text := fmt.Sprintf("%s in %s: %s", t.Key, file, t.Text)
	if t.Remedy != "" {
		text += "; " + t.Remedy
	}
	return errors.New(text)
}

// StoreTrouble explains an error that came up when the store was opened.
func StoreTrouble(c config.Store, err error) Trouble {
	if e, ok := errors.AsType[*store.KeyFileError](err); ok {
		return Trouble{"store.key_file", err.Error(), e.Remedy()}
	}
	if _, ok := errors.AsType[*MissingKeyError](err); ok || errors.Is(err, store.ErrWrongKey) {
		return Trouble{"store.key_file", err.Error(), "restore the key file of this store from a copy, or correct its path"}
	}
	if !c.Shared() {
		return placeTrouble("store.url", c.URL, err)
	}
	if _, bad := store.ReadPassword(c.PasswordFile); bad != nil {
		return Trouble{"store.password_file", bad.Error(), fileRemedy(bad)}
	}
	remedy := cmp.Or(postgresdb.Remedy(err), "check that the database is available and accepts this user")
	return Trouble{"store.url", err.Error(), remedy}
}

// QueueTrouble explains an error that came up when the queue was opened.
func QueueTrouble(c *config.Config, err error) Trouble {
	if c.Store.Shared() {
		return StoreTrouble(c.Store, err)
	}
	if _, missing := os.Stat(filepath.Dir(c.Queue.Path)); errors.Is(err, fs.ErrNotExist) && missing == nil {
		return Trouble{"queue.path", err.Error(), "the gateway makes it with the first message that it queues or holds; if there was one, correct the path"}
	}
	return placeTrouble("queue.path", c.Queue.Path, err)
}

// placeTrouble explains an error of a database in a file. SQLite does not say what is wrong with
// the disk.
func placeTrouble(key, path string, err error) Trouble {
	t := Trouble{key, err.Error(), placeRemedy(path, err)}
	if errors.Is(err, fs.ErrNotExist) || path == "" {
		return t
	}
	if text, remedy := unstorable(filepath.Dir(path)); text != "" {
		t.Text, t.Remedy = t.Text+": "+text, remedy
	} else if bad := mayWrite(path); errors.Is(bad, fs.ErrPermission) {
		t.Text, t.Remedy = fmt.Sprintf("%s: this user may not write %q", t.Text, path), placeRemedy(path, bad)
	}
	return t
}

// placeRemedy says what to do where a file of the gateway, such as its store, cannot be opened
// or made.
func placeRemedy(path string, err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return createFolder(filepath.Dir(path))
	case errors.Is(err, fs.ErrPermission):
		return "run the command as root or as the user of the gateway, who must own the file and its folder"
	case errors.Is(err, syscall.EROFS):
		return makeWritable(filepath.Dir(path))
	case errors.Is(err, syscall.ENOSPC):
		return "free space on the disk"
	case errors.Is(err, syscall.EAGAIN): // a lock
		return "stop the gateway, or the command, that has it open; several gateways share a store in PostgreSQL only"
	case errors.Is(err, syscall.EISDIR):
		return "name a file in this folder"
	case errors.Is(err, syscall.ENOTDIR):
		return "correct the path: a file stands where a folder should be"
	}
	return "name another file, or restore this one from a backup"
}

// createFolder is the remedy for a folder that is missing.
func createFolder(folder string) string {
	return "create the folder for the user of the gateway: install -d -o smimerelay -g smimerelay -m 0700 " + folder
}

// fileRemedy says what to do about a file that cannot be read; "" where the error says it.
func fileRemedy(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "check the path"
	case errors.Is(err, fs.ErrPermission):
		return "run the command as root or as the user of the gateway, who must be able to read it"
	}
	return ""
}

// storeTrouble complains of an error that came up when the store was opened.
func (b *builder) storeTrouble(err error) {
	t := StoreTrouble(b.config.Store, err)
	b.complain(t.Key, t.Text, t.Remedy)
}
