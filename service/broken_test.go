package service

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the expected problems into the broken files")

// mark begins the lines of a broken file that say what is expected of it.
const mark = "#! "

// TestBrokenConfigurations checks files with everything that people get wrong:
// each ends with the problems that it must report, all at once.
func TestBrokenConfigurations(t *testing.T) {
	files, err := filepath.Glob("testdata/broken/*.toml")
	if err != nil || len(files) < 30 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".toml"), func(t *testing.T) {
			parts, problems := loadElsewhere(t, file)
			if parts != nil {
				t.Fatal("parts were built all the same")
			}
			for _, p := range problems {
				if !strings.Contains(p.String(), "; ") {
					t.Errorf("no remedy: %s", p)
				}
			}
			got := strings.ReplaceAll(problems.Error(), filepath.Dir(file)+"/", "")
			got = strings.ReplaceAll(got, absolute(t, filepath.Dir(file))+"/", "")
			body, want := splitExpected(t, file)
			if *update {
				text := body + mark + strings.ReplaceAll(got, "\n", "\n"+mark) + "\n"
				if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the problems differ (-want +got):\n%s", diff)
			}
		})
	}
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	abs, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}

func splitExpected(t *testing.T, file string) (body, want string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var wanted []string
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, mark); ok {
			wanted = append(wanted, strings.TrimSuffix(rest, "\n"))
		} else {
			body += line
		}
	}
	return body, strings.Join(wanted, "\n")
}
