package backup

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/smimerelay/smimerelay/internal/config"
)

// A source is a file that goes into the archive by a name.
type source struct{ name, path string }

// made are options that name what the gateway makes itself, or what a package installs.
var made = []string{"store.url", "queue.path", "trust.fetch_cache", "identities.token_helper", "ca.folder", "mta_sts_folder", "console.path"}

// largest is up to how many octets a file of the configuration is backed up. A revocation
// list may be larger; it is fetched again.
const largest = 64 << 20

// choose returns what there is to write.
func (a *archive) choose() ([]source, error) {
	var list []source
	for _, name := range []string{queueName, storeName, historyName} {
		if path := a.folder.path(name); exists(path) {
			list = append(list, source{name, path})
		}
	}
	list = append(list, source{configName, a.options.ConfigFile})
	key := a.options.Config.Store.KeyFile
	for f := range a.options.Config.Files() {
		if slices.Contains(made, lastOf(f.Key)) || slices.Contains(made, f.Key) || f.Path == key {
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
	secret := f.Secret || f.Key == "identities.path"
	return filepath.WalkDir(config.Place(f.Path), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return nil //nolint:nilerr // it may be missing: check says so
		}
		info, err := os.Stat(path) // a link is what it leads to
		if err != nil || !info.Mode().IsRegular() || info.Size() > largest {
			return nil //nolint:nilerr // the same
		}
		if path, err = filepath.Abs(path); err != nil {
			return err
		}
		switch {
		case slices.Contains(a.manifest.Files, path) || slices.Contains(a.manifest.LeftOut, path):
		case secret && len(a.options.To) == 0:
			a.manifest.LeftOut = append(a.manifest.LeftOut, path)
		default:
			a.manifest.Files = append(a.manifest.Files, path)
			*list = append(*list, source{filesFolder + path, path})
		}
		return nil
	})
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// lastOf is the last part of the key of an option.
func lastOf(key string) string {
	for i := len(key) - 1; i >= 0; i-- {
		if key[i] == '.' {
			return key[i+1:]
		}
	}
	return key
}
