package service

import (
	"io/fs"
	"os"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay/dsn"
)

// readTexts reads the words of reports and notices.
func (b *builder) readTexts() *dsn.Texts {
	n := b.config.Notices
	if b.isKnown("notices") {
		return nil
	}
	var folder fs.FS
	if n.Folder != "" {
		folder = os.DirFS(n.Folder)
	}
	texts, err := dsn.ReadTexts(n.Language, folder)
	for _, e := range fault.Each(err) {
		b.complain("notices.folder", e.Error(), "correct the file")
	}
	return texts
}
