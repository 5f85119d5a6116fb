package guide

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/test/rig"
)

// block is a block of commands in the guide: ```sh NAME.
var block = regexp.MustCompile("(?ms)^```sh (\\w+)\n(.*?)^```$")

// commands are those of the blocks of these names, in the order of the guide.
func commands(t *testing.T, names ...string) (list []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(rig.Root(t), "docs/guide.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range block.FindAllStringSubmatch(string(text), -1) {
		for _, name := range names {
			if b[1] == name {
				list = append(list, strings.Split(strings.TrimSpace(b[2]), "\n")...)
			}
		}
	}
	return list
}

// TestBlocks: each block of commands in the guide is typed by a test.
func TestBlocks(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(rig.Root(t), "docs/guide.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range regexp.MustCompile("(?m)^```(\\w+)(.*)$").FindAllStringSubmatch(string(text), -1) {
		if b[1] == "sh" && b[2] != " install" && b[2] != " postfix" && b[2] != " relay" {
			t.Errorf("no test types the block %q", b[0])
		}
	}
	for _, name := range []string{"install", "postfix", "relay"} {
		if len(commands(t, name)) == 0 {
			t.Errorf("there is no block %s", name)
		}
	}
}
