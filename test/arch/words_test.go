package arch

import (
	"bufio"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var updateWords = flag.Bool("update-words", false, "write testdata/words.txt again, which may only shrink")

// house are words that this project once used in senses of its own. A reader who
// does not know it stumbles over them: name who acts, and say what is done in the
// terms of the RFCs and of Postfix. Words that also have a plain use (door, end, old)
// are not here.
var house = regexp.MustCompile(`(?i)\b(nobody|somebody|whoever|anew|told|spoken of|said of|of ours|believ(e|es|ed|ing)|` +
	`vouch(es|ed)?|takes? back|taken back|unmark(s|ed)?|put to use|set to work|must come up to|falls? silent|` +
	`again and again|once more|by hand|younger)\b`)

// TestWords: there are no more of the words than testdata/words.txt grants, file by
// file. A file that is renamed takes its words along: only when there are more in
// all is a file with more than its own an error.
func TestWords(t *testing.T) {
	found := houseWords(t)
	if *updateWords {
		writeGranted(t, found)
	}
	granted := readGranted(t)
	if sum(found) <= sum(granted) {
		return
	}
	for file, n := range found {
		if n > granted[file] {
			t.Errorf("%s: %d of the words to avoid, granted are %d; write plain English:\n%s", file, n, granted[file], show(t, file))
		}
	}
}

func sum(words map[string]int) (n int) {
	for _, of := range words {
		n += of
	}
	return n
}

// text says whether the file name is written by people to be read.
func text(name string) bool {
	if strings.Contains(name, "testdata/fuzz/") || strings.HasPrefix(name, "test/arch/") {
		return false
	}
	switch filepath.Ext(name) {
	case ".go", ".md", ".txtar", ".html", ".example", ".toml", ".service", ".yml", ".1", ".5":
		return true
	}
	return filepath.Base(name) == "Makefile" || strings.HasPrefix(name, "test/scripts/")
}

// files lists the files of the repository, the new ones too.
func files(t *testing.T) []string {
	t.Helper()
	cmd := exec.Command("git", "ls-files", "--cached", "--others", "--exclude-standard")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	return strings.Fields(string(out))
}

func houseWords(t *testing.T) map[string]int {
	t.Helper()
	found := map[string]int{}
	for _, name := range files(t) {
		if !text(name) {
			continue
		}
		content, err := os.ReadFile(filepath.Join("../..", name))
		if os.IsNotExist(err) {
			continue // deleted, and not yet committed
		} else if err != nil {
			t.Fatal(err)
		}
		if n := len(house.FindAll(content, -1)); n > 0 {
			found[name] = n
		}
	}
	return found
}

// show returns the lines of a file that have one of the words.
func show(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("../..", name))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for i, line := range strings.Split(string(content), "\n") {
		if house.MatchString(line) {
			lines = append(lines, fmt.Sprintf("\t%d: %s", i+1, strings.TrimSpace(line)))
		}
	}
	return strings.Join(lines, "\n")
}

const grantedFile = "testdata/words.txt"

func readGranted(t *testing.T) map[string]int {
	t.Helper()
	f, err := os.Open(grantedFile)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	granted := map[string]int{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var name string
		var n int
		if _, err := fmt.Sscanf(lines.Text(), "%s %d", &name, &n); err != nil {
			t.Fatalf("%s: %q: %v", grantedFile, lines.Text(), err)
		}
		granted[name] = n
	}
	return granted
}

// writeGranted writes the list again. Text that was mended is granted no words any
// more; there must not be more in all than there were.
func writeGranted(t *testing.T, found map[string]int) {
	t.Helper()
	if sum(found) > sum(readGranted(t)) {
		t.Fatalf("%d of the words to avoid, granted are %d: the list may only shrink", sum(found), sum(readGranted(t)))
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(found)) {
		fmt.Fprintf(&b, "%s %d\n", name, found[name])
	}
	if err := os.WriteFile(grantedFile, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestHouseWords keeps the test able to fail.
func TestHouseWords(t *testing.T) {
	for line, want := range map[string]bool{
		"// Nobody may read it.":            true,
		"the peer is told so":               true,
		"a key of ours that was taken back": true,
		"builds the parts anew":             true,
		"a newer certificate is preferred":  false,
		"the client is not authorized":      false,
		"the threshold, an unmarked grave":  true,
		"stolder, nobodyx":                  false,
	} {
		if house.MatchString(line) != want {
			t.Errorf("%q: %t", line, !want)
		}
	}
}
