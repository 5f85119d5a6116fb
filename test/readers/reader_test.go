package readers

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/otherreader"
)

// programs are the readers, each with the command that runs it.
var programs = map[string][]string{
	"Python email":     {"python3", "read.py"},
	"mailparser":       {"node", "read.js", "mailparser"},
	"postal-mime":      {"node", "read.js", "postal-mime"},
	"Perl MIME::Tools": {"perl", "read.pl"},
}

// leaf is what a reader shows in one piece.
type leaf struct {
	Type string `json:"type"`
	Name string `json:"name"`
	Text []byte `json:"text"`
}

// start runs a reader.
func start(t *testing.T, command []string) *otherreader.Reader {
	t.Helper()
	modules, err := filepath.Abs("../../.cache/readers/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(os.Environ(), "NODE_PATH="+modules)
	return otherreader.Start(t, cmd)
}

// read returns what the reader shows of each message.
func read(t *testing.T, r *otherreader.Reader, messages [][]byte) [][]leaf {
	t.Helper()
	shown := make([][]leaf, len(messages))
	for i, line := range r.Lines(t, messages...) {
		if err := json.Unmarshal(line, &shown[i]); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
	}
	return shown
}

// lines are the lines that leaves show, each once and without markup, but for
// the signature, of which the names count.
func lines(leaves []leaf) []string {
	var all []string
	for _, l := range leaves {
		if isSignature(l.Type) {
			if name := strings.ToLower(l.Name); name != "" && !strings.HasSuffix(name, ".p7s") && !strings.HasSuffix(name, ".p7m") {
				all = append(all, "a signature named "+name)
			}
			continue
		}
		text := strings.NewReplacer("<p>", "", "</p>", "", "\r", "\n", "\x00", "").Replace(string(l.Text))
		for line := range strings.SplitSeq(text, "\n") {
			if line = strings.TrimSpace(line); line != "" {
				all = append(all, line)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func isSignature(mediaType string) bool {
	return mediaType == "application/pkcs7-signature" || mediaType == "application/x-pkcs7-signature"
}
