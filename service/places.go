package service

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/internal/filesystem"
)

// Unstorable are the places of the store, its key file and the queue in which nothing can be
// stored: serve would not start, or defer all mail.
func (p *Parts) Unstorable() config.Problems {
	c := p.Config
	var ws config.Problems
	seen := map[string]bool{}
	look := func(key, path string) {
		folder := filepath.Dir(config.Place(path))
		if path == "" || seen[folder] {
			return
		}
		seen[folder] = true
		if text, remedy := unstorable(folder); text != "" {
			ws = append(ws, c.Problem(key, text, remedy))
		}
	}
	if !c.Store.Shared() {
		look("store.url", c.Store.URL)
	}
	if needsQueue(c) && !c.Store.Shared() {
		look("queue.path", c.Queue.Path)
	}
	return ws
}

// unstorable says why no file can be made in a folder, "" if one can.
func unstorable(folder string) (text, remedy string) {
	info, err := os.Stat(folder)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Sprintf("the folder %q does not exist", folder), createFolder(folder)
	case err != nil:
		return err.Error(), placeRemedy(folder, err)
	case !info.IsDir():
		return fmt.Sprintf("%q is not a folder", folder), "correct the path"
	case filesystem.ReadOnly(folder):
		return fmt.Sprintf("the folder %q is on a disk that is mounted read-only: nothing can be stored", folder), makeWritable(folder)
	}
	if err := mayWrite(folder); err != nil {
		return fmt.Sprintf("this user may not make files in the folder %q: %v", folder, err), placeRemedy(folder, err)
	}
	if free, err := filesystem.Free(folder); err == nil && free < leastFree {
		return fmt.Sprintf("the disk of the folder %q is full", folder), "free space there"
	}
	return "", ""
}

// makeWritable is the remedy for a folder that is read-only: to the gateway alone, where the unit of
// systemd has it so.
func makeWritable(folder string) string {
	return fmt.Sprintf("mount it writable, set ReadWritePaths=%s in the unit of systemd, or choose another place", folder)
}

// leastFree is what a database needs to be opened, with the files beside it.
const leastFree = 1 << 20
