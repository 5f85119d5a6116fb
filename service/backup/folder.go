package backup

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// A folder is a private one for what is written meanwhile.
type folder string

func newFolder() (folder, error) {
	dir, err := os.MkdirTemp("", "smimerelay-backup-*") // 0700
	if err != nil {
		return "", fmt.Errorf("%w; set TMPDIR to a folder with room", err)
	}
	return folder(dir), nil
}

func (f folder) path(name string) string { return filepath.Join(string(f), name) }

// remove overwrites what is in the folder, which is mail, and removes it.
func (f folder) remove() error {
	err := filepath.WalkDir(string(f), func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		return overwrite(path)
	})
	return errors.Join(err, os.RemoveAll(string(f)))
}

func overwrite(path string) error {
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err == nil {
		_, err = io.CopyN(file, zeros{}, info.Size())
	}
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// zeros is a reader of nothing else.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}
