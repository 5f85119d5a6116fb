package service

import (
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay/dsn"
)

// readTexts reads the words of reports and notices.
func (b *builder) readTexts() *dsn.Texts {
	n := b.config.Notices
	if b.isKnown("notices") {
		return nil
	}
	texts, err := dsn.ReadTexts(n.Language, b.noticesFolder())
	for _, e := range fault.Each(err) {
		b.complain("notices.folder", e.Error(), "correct the file")
	}
	return texts
}
