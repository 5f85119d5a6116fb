package file

import (
	"fmt"
	"os"
)

// ReadPrivate reads a small file with a secret: it must not be readable by others
// nor writable by more than its owner, and is at most limit octets long.
func ReadPrivate(file string, limit int64) ([]byte, error) {
	if err := CheckPrivate(file); err != nil {
		return nil, err
	}
	return readLimited(file, limit)
}

// CheckPrivate refuses a file that others may read or that more than its owner
// may write.
func CheckPrivate(file string) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	if mode := info.Mode().Perm(); mode&0o027 != 0 {
		return fmt.Errorf("private file %q: mode %04o lets others at it; run: chmod 0600 '%s'", file, mode, file)
	}
	return nil
}
