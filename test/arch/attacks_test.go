package arch

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// TestAttacksHaveTheirTests keeps docs/attacks.md from naming tests that are gone.
func TestAttacksHaveTheirTests(t *testing.T) {
	text, err := os.ReadFile("../../docs/attacks.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for _, line := range strings.Split(string(text), "\n") {
		cells := strings.Split(line, "|")
		if len(cells) < 5 || strings.HasPrefix(line, "|---") || strings.TrimSpace(cells[3]) == "test" {
			continue
		}
		rows++
		var folder string
		named := 0
		for _, word := range regexp.MustCompile("`[a-z/]+`|Test[A-Za-z0-9]+").FindAllString(cells[3], -1) {
			if strings.HasPrefix(word, "`") {
				folder = strings.Trim(word, "`")
				continue
			}
			named++
			if err := exec.Command("grep", "-rqs", "--include=*_test.go", "^func "+word+"(", "../../"+folder).Run(); err != nil {
				t.Errorf("docs/attacks.md names %s in %s, which does not exist", word, folder)
			}
		}
		if named == 0 {
			t.Errorf("docs/attacks.md names no test in the row %q", line)
		}
	}
	if rows < 20 {
		t.Errorf("docs/attacks.md has %d rows only", rows)
	}
}
