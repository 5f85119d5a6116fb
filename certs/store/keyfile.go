package store

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/smimerelay/smimerelay/certs/file"
	"github.com/smimerelay/smimerelay/internal/filesystem"
)

// KeyFileError is why a key file cannot be used.
type KeyFileError struct {
	Path  string
	Cause error
}

// Error returns the path and the cause.
func (e *KeyFileError) Error() string {
	cause := e.Cause
	if p, ok := errors.AsType[*fs.PathError](cause); ok {
		cause = p.Err // the path is there already
	}
	return fmt.Sprintf("key file %q: %v", e.Path, cause)
}

// Unwrap returns the cause.
func (e *KeyFileError) Unwrap() error { return e.Cause }

// Remedy says what to do; "" where the cause says it.
func (e *KeyFileError) Remedy() string {
	switch {
	case errors.Is(e.Cause, ErrNotKey):
		return "restore it from a copy; for a store without private keys make one with: openssl rand -base64 32"
	case errors.Is(e.Cause, fs.ErrPermission):
		return "run the command as root or as the user of the gateway, who must own the file: chown smimerelay " + e.Path
	case errors.Is(e.Cause, fs.ErrNotExist):
		return "restore it from a copy, or correct its path"
	case errors.Is(e.Cause, syscall.EISDIR):
		return "name a file in this folder"
	}
	return ""
}

// ErrNotKey is the cause where a file holds something else.
var ErrNotKey = fmt.Errorf("not a key: it must hold %d octets in base64", KeySize)

// ReadKey reads a key file: one line, 32 octets in base64. It must not be readable
// by others. An error is a KeyFileError.
func ReadKey(path string) ([]byte, error) {
	data, err := file.ReadPrivate(path, 1024)
	if err != nil {
		return nil, &KeyFileError{path, err}
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(file.SecretText(data)))
	if err != nil || len(key) != KeySize {
		return nil, &KeyFileError{path, ErrNotKey} // the cause would quote the file
	}
	return key, nil
}

// CreateKey makes a key file with a new random key, for its owner only, and
// returns the key. A file that exists is left alone, and an error.
func CreateKey(path string) ([]byte, error) {
	key := make([]byte, KeySize)
	rand.Read(key) // never fails
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = f.WriteString(base64.StdEncoding.EncodeToString(key) + "\n")
	if err == nil {
		err = filesystem.GiveToFolder(f)
	}
	if err == nil {
		// What is sealed with it is on the disk soon: so must it be.
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = syncFolder(path)
	}
	if err != nil {
		return nil, errors.Join(err, os.Remove(path))
	}
	return key, nil
}

func syncFolder(path string) error {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
