package filesystem

import (
	"errors"
	"os"
	"path/filepath"
)

// Replace puts a file at a path, in the place of the one that may be there: every reader gets the
// old one or the new one, also after a crash. It is written beside its place, with mode 0600
// unless write changes that, and is on the disk under its name when Replace returns nil. After an
// error the old one stays.
func Replace(path string, write func(f *os.File) error) (err error) {
	folder := filepath.Dir(path)
	f, err := os.CreateTemp(folder, ".new-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name()) // gone where it was renamed
		}
	}()
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncFolder(folder)
}

// Content is what Replace writes with these octets.
func Content(data []byte) func(*os.File) error {
	return func(f *os.File) error {
		_, err := f.Write(data)
		return err
	}
}
