package userfile

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/smimerelay/smimerelay/internal/filesystem"
	"github.com/smimerelay/smimerelay/internal/passwordhash"
)

// Add adds a user to the file at path, which is made if it does not exist.
func Add(path, user, password string) error {
	return change(path, user, password, func(known bool) error {
		if known {
			return fmt.Errorf("user %q exists already; set another password with smimerelay user passwd", user)
		}
		return nil
	})
}

// SetPassword gives a user of the file another password.
func SetPassword(path, user, password string) error {
	return change(path, user, password, func(known bool) error { return mustKnow(path, user, known) })
}

// Remove removes a user from the file.
func Remove(path, user string) error {
	return edit(path, func(all map[string]string) error {
		name, err := canonical(user)
		if err != nil {
			return err
		}
		if _, known := all[name]; !known {
			return mustKnow(path, user, false)
		}
		delete(all, name)
		return nil
	})
}

func mustKnow(path, user string, known bool) error {
	if known {
		return nil
	}
	return fmt.Errorf("%s: there is no user %q; smimerelay user list shows who is there", path, user)
}

func change(path, user, password string, allow func(known bool) error) error {
	name, err := canonical(user)
	switch {
	case err != nil:
		return err
	case password == "":
		return errors.New("the password is empty; write it on the first line")
	case len(password) > passwordhash.Max || strings.ContainsRune(password, 0):
		return fmt.Errorf("the password is longer than %d octets, or has one that is zero", passwordhash.Max)
	}
	return edit(path, func(all map[string]string) error {
		_, known := all[name]
		if err := allow(known); err != nil {
			return err
		}
		all[name] = passwordhash.New(password).String()
		return nil
	})
}

// edit changes the file as a whole: who reads it meanwhile sees all of it as it was, or
// as it is. Two edits wait for each other.
func edit(path string, f func(all map[string]string) error) error {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer folder.Close()
	if err := filesystem.Lock(folder); err != nil {
		return fmt.Errorf("lock of %s: %w", folder.Name(), err)
	}
	all, err := read(path)
	if errors.Is(err, fs.ErrNotExist) {
		all, err = map[string]string{}, nil
	}
	if err != nil {
		return err
	}
	if err := f(all); err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString("# Users of smimerelay, made by smimerelay user add.\n")
	for _, name := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&b, "%s:%s\n", name, all[name])
	}
	return replace(path, b.String())
}

// replace writes a file in the place of the one at path, with its owner and permissions. A
// new one can be read by the group of its folder, which is that of the service.
func replace(path, text string) error {
	mode, like := fs.FileMode(0o640), filepath.Dir(path)
	if info, err := os.Stat(path); err == nil {
		mode, like = info.Mode().Perm(), path
	}
	return filesystem.Replace(path, func(f *os.File) error {
		_, err := f.WriteString(text)
		return errors.Join(err, f.Chmod(mode), owned(f, like))
	})
}

// owned gives a file the owner and the group of what is at path, where this process may.
func owned(f *os.File, path string) error {
	info, err := os.Stat(path)
	if err != nil || os.Getuid() != 0 {
		return err
	}
	owner, group, ok := filesystem.Owner(info)
	if !ok {
		return nil
	}
	return f.Chown(owner, group)
}
