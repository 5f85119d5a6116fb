//go:build cgo

package cryptoki

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/miekg/pkcs11"
)

// modules are the libraries in this process. It is the one state of the package
// and not of a value, since the libraries have theirs a process: C_Initialize
// may be called once (PKCS #11 v2.40 section 5.4), and a login holds for all
// sessions, while two generations of parts live side by side at every reload.
var modules = newRegistry(func(path string) cryptoki {
	if ctx := pkcs11.New(path); ctx != nil {
		return ctx
	}
	return nil
})

// registry counts who uses a library.
type registry struct {
	load func(path string) cryptoki // nil where it cannot be loaded

	mu     sync.Mutex
	loaded map[string]*module
	// refused are the PIN files, as they were, of which a token refused the PIN:
	// after a few more attempts it would lock itself.
	refused map[string]fs.FileInfo
}

func newRegistry(load func(path string) cryptoki) *registry {
	return &registry{load: load, loaded: map[string]*module{}, refused: map[string]fs.FileInfo{}}
}

// module is a library that is loaded and initialized.
type module struct {
	cryptoki
	registry *registry
	path     string
	users    int
	login    sync.Mutex // one attempt at a time

	// calls is held for reading by each caller of the library, and alone by the one who
	// restarts it (PKCS #11 v2.40 section 5.4: no other thread may be in it).
	calls     sync.RWMutex
	restarted time.Time
}

// restart finalizes the library and initializes it again: many see a token only that was there
// at the beginning, or lose a connection for good. All sessions are lost by it.
// It reports whether it did: not in the middle of calls, and not too often.
func (m *module) restart(now time.Time) bool {
	if !m.calls.TryLock() {
		return false
	}
	defer m.calls.Unlock()
	if !m.restarted.IsZero() && now.Sub(m.restarted) < pause {
		return false
	}
	m.restarted = now
	_ = m.Finalize() // which it may have done by itself
	return m.Initialize() == nil
}

// acquire returns a library, which the caller must release.
func (r *registry) acquire(path string) (*module, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m := r.loaded[path]; m != nil {
		m.users++
		return m, nil
	}
	api := r.load(path)
	if api == nil {
		return nil, refuse("library %q: cannot be loaded as a PKCS #11 module", path)
	}
	if err := api.Initialize(); err != nil && !errors.Is(err, pkcs11.Error(pkcs11.CKR_CRYPTOKI_ALREADY_INITIALIZED)) {
		api.Destroy()
		return nil, err
	}
	m := &module{cryptoki: api, registry: r, path: path, users: 1}
	r.loaded[path] = m
	return m, nil
}

// release gives a library back; the last one out ends it.
func (m *module) release() error {
	m.registry.mu.Lock()
	defer m.registry.mu.Unlock()
	m.users--
	if m.users > 0 {
		return nil
	}
	delete(m.registry.loaded, m.path)
	err := m.Finalize()
	m.Destroy()
	return err
}

// barred reports whether the PIN in file was refused, and the file is the same.
func (r *registry) barred(file string, now fs.FileInfo) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	then, ok := r.refused[file]
	return ok && os.SameFile(then, now) && then.ModTime().Equal(now.ModTime()) && then.Size() == now.Size()
}

// bar remembers that the PIN in file was refused.
func (r *registry) bar(file string, now fs.FileInfo) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refused[file] = now
}

// modulePaths are where libraries are looked for by name.
const modulePaths = "/usr/lib/pkcs11 /usr/lib/*-linux-gnu/pkcs11 /usr/lib/*-linux-gnu /usr/lib/softhsm /usr/lib64/pkcs11 /usr/lib64 /usr/lib /usr/local/lib"

// library returns the path of the library: module-path, or what module-name is
// the name of, without "lib" and suffix (RFC 7512 section 2.3).
func (u target) library() (string, error) {
	if path := u.Query["module-path"]; path != "" {
		info, err := os.Stat(path)
		switch {
		case err != nil:
			return "", refuse("module-path: %w", err)
		case info.IsDir():
			return "", refuse("module-path: %q is a folder; name the library in it", path)
		}
		return path, nil
	}
	name := u.Query["module-name"]
	if strings.ContainsAny(name, `/*?[\`) {
		return "", refuse("module-name: %q is not a name; write module-path", name)
	}
	for folder := range strings.FieldsSeq(modulePaths) {
		for _, file := range []string{name + ".so", "lib" + name + ".so"} {
			if found, _ := filepath.Glob(filepath.Join(folder, file)); len(found) > 0 {
				return found[0], nil
			}
		}
	}
	return "", refuse("module-name: no library %q in %s; write module-path", name, modulePaths)
}
