// Package backup writes all that a gateway keeps into one file while it runs, and puts it
// back, also on another machine and into another database.
//
// The file is a tar archive, compressed with gzip, and where certificates are given CMS
// AuthEnvelopedData around it (RFC 5083). In the archive are
//
//	backup.json  a Manifest
//	store.db     the certificate store, whatever database it is in: SQLite
//	queue.db     queued and held mail, the same way
//	history.db   the history, the same way
//	console.db   accounts, tokens and audit log of the console, the same way
//	store.key    the key file of the store
//	config.toml  the configuration
//	files/…      the files that it names, by their absolute paths
//
// The databases are those of the release that wrote them; a later one brings them up to
// date, as it does with those of a gateway.
package backup

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/console/access"
	"github.com/smimerelay/smimerelay/relay/queue"
)

// format is the number of this kind of archive.
const format = 1

// The names in the archive.
const (
	manifestName = "backup.json"
	storeName    = "store.db"
	queueName    = "queue.db"
	historyName  = "history.db"
	consoleName  = "console.db"
	keyName      = "store.key"
	configName   = "config.toml"
	filesFolder  = "files"
)

// Manifest says what is in a backup.
type Manifest struct {
	Format  int       `json:"format"`
	Version string    `json:"version"` // of the program
	Made    time.Time `json:"made"`
	Host    string    `json:"host"` // hostname of its configuration
	// Store is what there is of each kind.
	Store []store.Copied `json:"store"`
	Queue queue.Moved    `json:"queue"`
	// History is the number of rows of the history.
	History int64 `json:"history"`
	// Console is what there is of the console.
	Console access.Copied `json:"console"`
	// Key says that the key file of the store is in the backup.
	Key bool `json:"key"`
	// Config is the absolute path of the configuration file.
	Config string `json:"config"`
	// Files are the absolute paths of the files that the configuration names, LeftOut those
	// with secrets, which only an encrypted backup has, Skipped those that could not be read.
	Files   []string  `json:"files"`
	LeftOut []string  `json:"left_out"`
	Skipped []Skipped `json:"skipped"`
}

// Skipped is a file, or a folder, that should be in a backup and is not.
type Skipped struct {
	Path string `json:"path"`
	Why  string `json:"why"`
}

// errNoBackup is the error for a file that Write did not make.
var errNoBackup = errors.New("not a backup of smimerelay; name the file that smimerelay backup wrote")

func readManifest(data []byte) (m Manifest, err error) {
	if err := json.Unmarshal(data, &m); err != nil {
		return m, errNoBackup
	}
	if m.Format != format {
		return m, fmt.Errorf("made by another release (%s, format %d, this one knows %d); use that release", m.Version, m.Format, format)
	}
	for _, path := range m.Files {
		if !filepath.IsAbs(path) || filepath.Clean(path) != path {
			return m, fmt.Errorf("%w: it has %q in it", errNoBackup, path)
		}
	}
	return m, nil
}
