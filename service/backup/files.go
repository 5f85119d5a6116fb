package backup

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/smimerelay/smimerelay/internal/config"
)

// A source is a file that goes into the archive by a name.
type source struct{ name, path string }

// made are options that name what the gateway makes itself, or what a package installs.
var made = []string{"store.url", "queue.path", "trust.fetch_cache", "identities.token_helper", "ca.folder", "dns.mta_sts_folder", "console.path"}

// choose returns what there is to write.
func (a *archive) choose() ([]source, error) {
	var list []source
	for _, name := range []string{queueName, storeName, historyName, consoleName} {
		if path := a.folder.path(name); exists(path) {
			list = append(list, source{name, path})
		}
	}
	list = append(list, source{configName, a.options.ConfigFile})
	key := a.options.Config.Store.KeyFile
	for f := range a.options.Config.Files() {
		if slices.Contains(made, f.Key) || f.Path == key {
			continue
		}
		if err := a.chooseBelow(&list, f); err != nil {
			return nil, err
		}
	}
	switch {
	case key == "" || !exists(config.Place(key)):
	case len(a.options.To) == 0:
		a.manifest.LeftOut = append(a.manifest.LeftOut, key)
	default:
		a.manifest.Key = true
		list = append(list, source{keyName, config.Place(key)})
	}
	return list, nil
}

// chooseBelow adds the files that an option names: itself, or those in the folder.
func (a *archive) chooseBelow(list *[]source, f config.NamedFile) error {
	root, err := filepath.Abs(config.Place(f.Path))
	if err != nil {
		return err
	}
	// The folder itself may be a link, which a walk does not follow.
	target, err := filepath.EvalSymlinks(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // check says so
	}
	if err != nil {
		a.skip(root, err)
		return nil
	}
	return filepath.WalkDir(target, func(path string, e fs.DirEntry, err error) error {
		if below, ok := strings.CutPrefix(path, target); ok {
			path = root + below
		}
		switch {
		case err != nil:
			a.skip(path, err)
		case !e.IsDir():
			a.chooseFile(list, path, target, f.Secret)
		}
		return nil
	})
}

var (
	errNoFile     = errors.New("neither a file nor a folder")
	errFolderLink = errors.New("a link to a folder elsewhere")
)

// chooseFile adds one file of a folder.
func (a *archive) chooseFile(list *[]source, path, folder string, secret bool) {
	if slices.Contains(a.manifest.Files, path) || slices.Contains(a.manifest.LeftOut, path) {
		return
	}
	info, err := os.Stat(path) // a link is what it leads to
	switch {
	case errors.Is(err, fs.ErrNotExist): // gone meanwhile, or a link to nothing
		return
	case err == nil && info.IsDir():
		target, e := filepath.EvalSymlinks(path)
		if e == nil && strings.HasPrefix(target, folder+string(filepath.Separator)) {
			return // which is backed up as itself
		}
		err = errFolderLink
	case err == nil && !info.Mode().IsRegular():
		err = errNoFile
	case err == nil:
		var key bool
		key, err = hasSecret(path)
		secret = secret || key
	}
	switch {
	case err != nil:
		a.skip(path, err)
	case secret && len(a.options.To) == 0:
		a.manifest.LeftOut = append(a.manifest.LeftOut, path)
	default:
		a.manifest.Files = append(a.manifest.Files, path)
		*list = append(*list, source{filesFolder + path, path})
	}
}

// skip notes a file that cannot be backed up.
func (a *archive) skip(path string, err error) {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err
	}
	a.manifest.Skipped = append(a.manifest.Skipped, Skipped{path, err.Error()})
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
