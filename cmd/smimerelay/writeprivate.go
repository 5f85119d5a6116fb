package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// writePrivate writes a file that only its owner may read; on an error there is
// none, or the old one. One that is there is replaced only with force.
func writePrivate(path string, data []byte, force bool) error {
	return writePrivateTo(path, force, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// writePrivateTo is writePrivate for what write writes.
func writePrivateTo(path string, force bool, write func(io.Writer) error) error {
	f, err := createPrivate(path, force)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s already exists; name another file, or overwrite it with --force", path)
	}
	if err != nil {
		return fmt.Errorf("%w; choose a file that you may write", err)
	}
	if err = write(f); err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil && f.Name() != path {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// createPrivate makes the file itself, or one beside it that is to replace it.
func createPrivate(path string, replace bool) (*os.File, error) {
	if replace {
		return os.CreateTemp(filepath.Dir(path), ".smimerelay-*") // 0600
	}
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
}
