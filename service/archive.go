package service

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/internal/filesystem"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/message"
)

// archiveTo is the address of the archive; null if it is a folder, or there is none.
func (b *builder) archiveTo() address.Address {
	a, err := address.Parse(b.config.Inbound.Archive)
	if err != nil {
		return address.Null // config has checked it: it is a folder
	}
	return a
}

// archive is what stores messages in the folder of the configuration; nil if that names
// none. The folder is made when the gateway serves.
func (b *builder) archive() func(*message.Message) (string, error) {
	dir := b.config.Inbound.Archive
	if dir == "" || strings.Contains(dir, "@") {
		return nil
	}
	if b.serving {
		if err := os.MkdirAll(config.Place(dir), 0o700); err != nil {
			b.complain("inbound.archive", err.Error(), "make the folder, and give it to the user of the gateway")
		}
	}
	return archive{dir}.store
}

// archive is a folder of messages as they came.
type archive struct{ dir string }

// store writes a message into a file that only the gateway's user can read. It is on the
// disk, whole and under its name, when it returns nil. The name is of what is in it alone: a
// client that tries again makes no other file.
func (a archive) store(m *message.Message) (place string, err error) {
	place = fmt.Sprintf("%x.eml", sha256.Sum256(m.Bytes()))
	if err := filesystem.Replace(filepath.Join(config.Place(a.dir), place), filesystem.Content(m.Bytes())); err != nil {
		return "", fmt.Errorf("archive: %w", err)
	}
	return place, nil
}
