// Package folder takes identities from a folder into which another program puts them: a CA,
// or a system that hands out PKCS #12 files (imported PKCS).
package folder

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/smimerelay/smimerelay/certs/file"
	"github.com/smimerelay/smimerelay/certs/intake"
	"github.com/smimerelay/smimerelay/certs/store"
)

// Config is what a Folder needs.
type Config struct {
	// Enrolment is the name of the table.
	Enrolment string
	// Path is the folder; those below it are read too.
	Path string
	// PasswordFile has the password of the files that have no NAME.password beside
	// them; "" is none.
	PasswordFile string
	Store        *store.Store
	Log          *slog.Logger
}

// Folder imports what is new in a folder. It is safe for concurrent use.
type Folder struct {
	Config

	mu   sync.Mutex
	seen map[string]state // by path
}

// state is how a file looked when it was last read.
type state struct {
	size     int64
	at       time.Time
	password time.Time
}

// New returns a Folder that has seen nothing yet.
func New(c Config) *Folder { return &Folder{Config: c, seen: map[string]state{}} }

// Scan imports the files that are new or have changed since they were last read, each as a
// whole or not at all, as cert import does. Those that are refused are logged, and read again
// when they change. The error is about the folder or the store.
func (f *Folder) Scan(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	files, err := file.Files(f.Path)
	if err != nil {
		return fmt.Errorf("enrolment %q: folder: %w", f.Enrolment, err)
	}
	now := map[string]state{}
	var fresh []string
	for _, path := range files {
		s, ok := f.look(path)
		if !ok {
			continue // it went, or is still to be read by others
		}
		if f.seen[path] == s {
			now[path] = s
			continue
		}
		fresh = append(fresh, path)
	}
	if len(fresh) > 0 {
		if err := f.take(ctx, fresh, now); err != nil {
			return err
		}
	}
	f.seen = now
	return nil
}

// look tells a file that has changed from one that has not: a password that comes later is a
// change too.
func (f *Folder) look(path string) (state, bool) {
	info, err := os.Stat(path)
	if err != nil {
		return state{}, false
	}
	s := state{size: info.Size(), at: info.ModTime()}
	for _, name := range []string{file.PasswordPath(path), f.PasswordFile} {
		if info, err := os.Stat(name); err == nil && info.ModTime().After(s.password) {
			s.password = info.ModTime()
		}
	}
	return s, true
}

// take imports files, and notes how each of them looked before it was read.
func (f *Folder) take(ctx context.Context, files []string, now map[string]state) error {
	password := ""
	if f.PasswordFile != "" {
		var err error
		if password, _, err = file.ReadSecret(f.PasswordFile); err != nil {
			return fmt.Errorf("enrolment %q: password_file: %w", f.Enrolment, err)
		}
	}
	before := map[string]state{}
	for _, path := range files {
		if s, ok := f.look(path); ok {
			before[path] = s
		}
	}
	_, err := intake.Run(ctx, intake.Config{Store: f.Store, Password: password, Workers: 1}, files, func(o intake.Outcome) error {
		switch o.Result {
		case intake.Added:
			f.Log.InfoContext(ctx, "file imported", "enrolment", f.Enrolment, "file", o.File, "identities", o.Identities)
		case intake.Refused:
			f.Log.WarnContext(ctx, "file not imported", "enrolment", f.Enrolment, "file", o.File, "error", o.Reason)
		}
		now[o.File] = before[o.File]
		return nil
	})
	return err
}
