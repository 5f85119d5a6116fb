package arch

import (
	"os"
	"path/filepath"
	"testing"
)

// TestRegularFiles: a link in the repository would lead to where only its maker has something.
func TestRegularFiles(t *testing.T) {
	for _, name := range files(t) {
		info, err := os.Lstat(filepath.Join("../..", name))
		if os.IsNotExist(err) {
			continue // deleted, and not yet committed
		} else if err != nil {
			t.Fatal(err)
		}
		if !info.Mode().IsRegular() {
			t.Errorf("%s is no regular file: %s", name, info.Mode())
		}
	}
}
