//go:build unix

package smime

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/corpora"
	"github.com/smimerelay/smimerelay/internal/testing/dovecottest"
	"github.com/smimerelay/smimerelay/smime/message"
)

// TestCorporaReadable: what other programs encrypted to keys that lie there, or signed in one
// piece, is listed by a mailbox server as ordinary parts that have a content.
func TestCorporaReadable(t *testing.T) {
	root := corpora.Dir(t)
	options := corpusOptions(t, root)
	options.AllowWeak = true
	read := 0
	for _, folder := range []string{"thunderbird", "thunderbird-browser", "openssl", "rfc4134", "tika-pkcs7"} {
		for _, e := range corpora.Manifest(t, filepath.Join(root, folder)) {
			name := folder + "/" + e.File
			raw, err := os.ReadFile(filepath.Join(root, name))
			if err != nil {
				t.Fatal(err)
			}
			if e.Expected == "n/a" || !isMessage(e, raw) {
				continue
			}
			if m, err := message.Parse(raw); err == nil && corpusReadable(t, name, m, options) {
				read++
			}
		}
	}
	if read < 60 {
		t.Errorf("%d messages became readable", read)
	}
}

// corpusReadable reports whether a message became readable. It then has the text that the
// corpora write, and parts that any reader opens.
func corpusReadable(t *testing.T, name string, m *message.Message, o OpenOptions) bool {
	t.Helper()
	opened := Open(context.Background(), m, o)
	got, err := opened.Readable(false)
	if err != nil {
		return false // it stays as it came
	}
	if got == m || layerOf(got.Root()) == cmsLayer {
		return false
	}
	written := false
	for _, p := range dovecottest.Read(t, got.Bytes()) {
		switch p.Type {
		case "text/plain", "text/html":
			written = written || strings.Contains(string(p.Content), "test message") || strings.Contains(string(p.Content), "sample content") ||
				strings.Contains(string(p.Content), "test content")
		case "application/pkcs7-signature":
		default:
			t.Errorf("%s: part %s is %s", name, p.Number, p.Type)
		}
	}
	if !written {
		t.Errorf("%s: without its text:\n%s", name, got.Bytes())
	}
	return true
}
