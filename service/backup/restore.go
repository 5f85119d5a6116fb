package backup

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/smimerelay/smimerelay/certs/store"
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
	// KeyFile is the key file that was written, "" if it was there, or there is none.
	KeyFile string
}

// Restore puts the key file, the certificates and the mail where a configuration has them.
// No gateway may be running there, and the queue must be empty; certificates that are there
// stay. Interrupted, it can be run again. With onHold no restored delivery is attempted
// before an operator releases it: some may have been delivered after the backup was made.
func (b *Backup) Restore(ctx context.Context, c *config.Config, onHold bool) (r Restored, err error) {
	if exists(b.folder.path(queueName)) {
		place, err := service.QueuePlace(c)
		if err != nil {
			return r, err
		}
		// The queue first: it tells whether a gateway is at work.
		if r.Queue, err = queue.Restore(ctx, b.folder.path(queueName), place, onHold); err != nil {
			return r, err
		}
	}
	if r.KeyFile, err = b.restoreKey(c.Store.KeyFile); err != nil {
		return r, err
	}
	if r.Store, err = b.restoreStore(ctx, c.Store); err != nil {
		return r, err
	}
	r.History, err = b.restoreHistory(ctx, c)
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
		return "", err
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
		return "", err
	}
	return path, writeNew(path, []byte(base64.StdEncoding.EncodeToString(key)+"\n"), 0o600)
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

// Put says what became of a file.
type Put struct {
	Path string
	// Kept says that another file was there, and is still.
	Kept bool
}

// PutFiles writes the configuration to the path given and the files that it names to
// their places below root. Those that are there stay as they are.
func (b *Backup) PutFiles(configFile, root string) ([]Put, error) {
	all := []Put{}
	for i, path := range append([]string{configFile}, b.Files...) {
		from := b.folder.path(configName)
		if i > 0 {
			from = b.folder.path(filesFolder + path)
			path = filepath.Join(root, path)
		}
		data, err := os.ReadFile(from)
		if err != nil {
			return all, fmt.Errorf("%w: %w", errNoBackup, err)
		}
		info, err := os.Stat(from)
		if err != nil {
			return all, err
		}
		path = config.Place(path)
		if there, err := os.ReadFile(path); err == nil {
			if !bytes.Equal(there, data) {
				all = append(all, Put{path, true})
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // G301: /etc has this mode
			return all, err
		}
		if err := writeNew(path, data, info.Mode().Perm()); err != nil {
			return all, err
		}
		all = append(all, Put{path, false})
	}
	return all, nil
}

// writeNew writes a file that is not there.
func writeNew(path string, data []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
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
