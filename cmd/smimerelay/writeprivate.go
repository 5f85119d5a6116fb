package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/smimerelay/smimerelay/internal/filesystem"
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
	if force {
		return unwritten(filesystem.Replace(path, func(f *os.File) error { return write(f) }))
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s already exists; name another file, or overwrite it with --force", path)
	}
	if err != nil {
		return unwritten(err)
	}
	if err = write(f); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// unwritten adds to the error of a file that could not be made what to do about it.
func unwritten(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok && e.Op == "open" {
		return fmt.Errorf("%w; choose a file that you may write", err)
	}
	return err
}
