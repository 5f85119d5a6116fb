package backup

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/console/access"
	"github.com/smimerelay/smimerelay/history"
	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/internal/filesystem"
	"github.com/smimerelay/smimerelay/relay/queue"
	"github.com/smimerelay/smimerelay/service"
)

// Restored is what Restore has put where it belongs.
type Restored struct {
	Store []store.Copied
	Queue queue.Moved
	// History is the number of rows of the history, 0 if there was one already.
	History int64
	// Console is what was restored of the console; ConsoleKept says that there was something
	// already, which stays.
	Console     access.Copied
	ConsoleKept bool
	// KeyFile is the key file that was written, "" if it was there, or there is none.
	KeyFile string
}

// Restore puts the key file, the certificates and the mail where a configuration has them.
// No gateway may be running there, and the queue must be empty; certificates that are there
// stay. Interrupted, and after an error, it can be run again. With onHold no restored
// delivery is attempted before an operator releases it: some may have been delivered after
// the backup was made.
func (b *Backup) Restore(ctx context.Context, c *config.Config, onHold bool) (r Restored, err error) {
	first := func() (err error) {
		if r.KeyFile, err = b.restoreKey(c.Store.KeyFile); err != nil {
			return err
		}
		if r.Store, err = b.restoreStore(ctx, c.Store); err != nil {
			return err
		}
		if r.History, err = b.restoreHistory(ctx, c); err != nil {
			return err
		}
		r.Console, r.ConsoleKept, err = b.restoreConsole(ctx, c)
		return err
	}
	if !exists(b.folder.path(queueName)) {
		return r, first()
	}
	place, err := service.QueuePlace(c)
	if err != nil {
		return r, err
	}
	// The queue tells whether a gateway is at work, and its mail comes last: nothing before
	// it minds being there already.
	moved, err := queue.Restore(ctx, b.folder.path(queueName), place, onHold, first)
	r.Queue = moved
	return r, err
}

func (b *Backup) restoreHistory(ctx context.Context, c *config.Config) (rows int64, err error) {
	place, ok, err := service.HistoryPlace(c)
	if err != nil || !ok || !exists(b.folder.path(historyName)) {
		return 0, err
	}
	from, err := history.OpenExisting(ctx, history.Place{Path: b.folder.path(historyName)})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	to, err := history.Open(ctx, place)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	if rows, err = from.Copy(ctx, to); errors.Is(err, history.ErrNotEmpty) {
		return 0, nil
	}
	return rows, err
}

// restoreKey writes the key file, unless it is there.
func (b *Backup) restoreKey(path string) (written string, err error) {
	if !b.Key {
		return "", nil
	}
	key, err := store.ReadKey(b.folder.path(keyName))
	if err != nil {
		return "", withRemedy(err)
	}
	if path == "" {
		return "", errors.New("store.key_file is empty, and there are private keys in the backup; set it to a file")
	}
	path = config.Place(path)
	there, err := store.ReadKey(path)
	switch {
	case err == nil && !bytes.Equal(there, key):
		return "", fmt.Errorf("key file %q: another key than that of the backup; move it elsewhere if nothing is encrypted with it", path)
	case err == nil:
		return "", nil
	case !errors.Is(err, fs.ErrNotExist):
		return "", withRemedy(err)
	}
	return path, writeNew(path, strings.NewReader(base64.StdEncoding.EncodeToString(key)+"\n"), 0o600)
}

func (b *Backup) restoreStore(ctx context.Context, place config.Store) (copied []store.Copied, err error) {
	if !exists(b.folder.path(storeName)) {
		return nil, nil
	}
	if place.URL == "" {
		return nil, errors.New("store.url is empty, so that nothing is kept; set it to a file or a database")
	}
	key, err := readKey(place.KeyFile)
	if err != nil {
		return nil, err
	}
	from, err := openStore(ctx, config.Store{URL: b.folder.path(storeName)}, key)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	has := true
	n, err := from.Count(ctx, store.Query{HasKey: &has})
	if err != nil {
		return nil, err
	}
	if n > 0 && key == nil {
		return nil, fmt.Errorf("key file %q is missing, but %d private keys in the backup are encrypted with it; put the copy of it there", place.KeyFile, n)
	}
	to, err := openStore(ctx, place, key)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	return from.Copy(ctx, to)
}

// Put says what becomes of a file.
type Put struct {
	Path string
	// Kept says that another file is there, and stays.
	Kept bool
	from string
}

// Plan returns the files that PutFiles writes, and those that stay: the configuration, at
// the path given, and the files that it names, at their places below root. A file that it
// does not name is an error: a backup could bring any.
func (b *Backup) Plan(configFile, root string) ([]Put, error) {
	if err := b.onlyNamed(configFile); err != nil {
		return nil, err
	}
	all := []Put{}
	for i, path := range append([]string{configFile}, b.Files...) {
		from := b.folder.path(configName)
		if i > 0 {
			from = b.folder.path(filesFolder + path)
			path = filepath.Join(root, path)
		}
		path = config.Place(path)
		there, same, err := compare(path, from)
		if err != nil {
			return nil, err
		}
		if !same {
			all = append(all, Put{path, there, from})
		}
	}
	return all, nil
}

// onlyNamed returns an error if there is a file in the backup that its configuration does
// not name.
func (b *Backup) onlyNamed(configFile string) error {
	data, err := os.ReadFile(b.folder.path(configName))
	if err != nil {
		return fmt.Errorf("%w: it has no configuration", errNoBackup)
	}
	place, err := filepath.Abs(cmp.Or(b.Config, configFile)) // a backup of an earlier version does not say it
	if err != nil {
		return err
	}
	c, problems := config.Parse(place, data)
	if c == nil {
		return fmt.Errorf("the configuration in the backup: %w", problems)
	}
	var named []string
	for f := range c.Files() {
		if path, err := filepath.Abs(f.Path); err == nil {
			named = append(named, path)
		}
	}
	for _, path := range b.Files {
		if !slices.ContainsFunc(named, func(n string) bool { return path == n || strings.HasPrefix(path, n+"/") }) {
			return fmt.Errorf("%w: it has the file %q, which its configuration does not name", errNoBackup, path)
		}
	}
	return nil
}

// compare reports whether there is a file, or anything else, of the path, and whether it is
// the same as that of the backup.
func compare(path, from string) (there, same bool, err error) {
	ours, err := sum(from)
	if err != nil {
		return false, false, fmt.Errorf("%w: %w", errNoBackup, err)
	}
	if _, err := os.Lstat(path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return false, false, nil
		}
		return false, false, err
	}
	theirs, err := sum(path)
	return true, err == nil && ours == theirs, nil
}

// sum returns the SHA-256 of a regular file.
func sum(path string) (digest [sha256.Size]byte, err error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%q is no file", path)
	}
	if err != nil {
		return digest, err
	}
	f, err := os.Open(path)
	if err != nil {
		return digest, err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	return [sha256.Size]byte(h.Sum(nil)), err
}

// PutFiles writes what is planned. What is there stays as it is.
func (b *Backup) PutFiles(plan []Put) error {
	for i := range plan {
		p := &plan[i]
		if p.Kept {
			continue
		}
		if err := p.write(); err != nil {
			return err
		}
	}
	return nil
}

func (p *Put) write() error {
	f, err := os.Open(p.from)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(p.Path), 0o755); err != nil { //nolint:gosec // G301: /etc has this mode
		return err
	}
	return writeNew(p.Path, f, info.Mode().Perm())
}

// writeNew writes a file that is not there.
func writeNew(path string, from io.Reader, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	if err == nil {
		err = filesystem.GiveToFolder(f)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}
