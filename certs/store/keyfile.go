package store

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/smimerelay/smimerelay/certs/file"
	"github.com/smimerelay/smimerelay/internal/filesystem"
)

// ReadKey reads a key file: one line, 32 octets in base64. It must not be readable
// by others.
func ReadKey(path string) ([]byte, error) {
	data, err := file.ReadPrivate(path, 1024)
	if err != nil {
		return nil, err
	}
	key, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(data)))
	if err != nil || len(key) != KeySize {
		// The cause would quote the file.
		return nil, fmt.Errorf("key file %q: not a key: it must hold %d octets in base64; make one with: openssl rand -base64 32", path, KeySize)
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
