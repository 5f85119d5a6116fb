// Package userfile keeps the file of those who may log in: a name and a password hash of
// argon2id (RFC 9106) on each line.
package userfile

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"unicode"

	"github.com/smimerelay/smimerelay/internal/passwordhash"
)

// File is a file of users. It is read again when it has changed.
type File struct {
	path  string
	slots chan struct{}     // holds one value for each check under way
	dummy passwordhash.Hash // for names that are not known

	mu    sync.Mutex
	info  fs.FileInfo // of what was read
	known map[string]passwordhash.Hash
}

// Open reads the file at path.
func Open(path string) (*File, error) {
	f := &File{path: path, slots: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)), dummy: passwordhash.New("")}
	_, err := f.users()
	return f, err
}

// Check reports whether the password is that of the user, and the name as it is in the
// file. A name that is not known takes as long. Checks wait for each other, for each
// takes memory; an error means that the file cannot be read, or that ctx ended.
func (f *File) Check(ctx context.Context, user, password string) (string, bool, error) {
	known, err := f.users()
	if err != nil {
		return "", false, err
	}
	select {
	case f.slots <- struct{}{}:
		defer func() { <-f.slots }()
	case <-ctx.Done():
		return "", false, context.Cause(ctx)
	}
	name := strings.ToLower(user)
	h, found := known[name]
	if !found {
		h = f.dummy
	}
	right := h.Is(password)
	return name, found && right && password != "", nil
}

// users returns what is in the file now.
func (f *File) users() (map[string]passwordhash.Hash, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	info, err := os.Stat(f.path)
	if err != nil {
		return nil, err
	}
	if f.info != nil && os.SameFile(info, f.info) && info.ModTime().Equal(f.info.ModTime()) && info.Size() == f.info.Size() {
		return f.known, nil
	}
	lines, err := read(f.path)
	if err != nil {
		return nil, err
	}
	known := make(map[string]passwordhash.Hash, len(lines))
	for name, text := range lines {
		if known[name], err = passwordhash.Parse(text); err != nil {
			return nil, fmt.Errorf("%s: user %q: %w", f.path, name, err)
		}
	}
	f.info, f.known = info, known
	return known, nil
}

// Names returns the names in the file at path, sorted.
func Names(path string) ([]string, error) {
	lines, err := read(path)
	return slices.Sorted(maps.Keys(lines)), err
}

// read returns the hashes in a file by name.
func read(path string) (map[string]string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	all := map[string]string{}
	number := 0
	for line := range strings.Lines(string(data)) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, text, _ := strings.Cut(line, ":")
		name, err := canonical(name)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, number, err)
		}
		if _, twice := all[name]; twice {
			return nil, fmt.Errorf("%s:%d: user %q is there twice", path, number, name)
		}
		all[name] = text
	}
	return all, nil
}

// canonical returns a name as it is compared: rules have one form of it.
func canonical(name string) (string, error) {
	bad := func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r) || r == ':' || r == '*' || r == '?'
	}
	if name == "" || len(name) > 255 || strings.ContainsFunc(name, bad) || strings.HasPrefix(name, "#") {
		return "", fmt.Errorf("%q cannot be the name of a user; use letters, digits, and punctuation other than : * ?, such as alice or alice@example.org", name)
	}
	return strings.ToLower(name), nil
}
