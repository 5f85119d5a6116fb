package readers

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
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

// reader is a running program that reads one message after the other.
type reader struct {
	in  io.WriteCloser
	out *bufio.Reader
}

func start(t *testing.T, command []string) *reader {
	t.Helper()
	modules, err := filepath.Abs("../../.cache/readers/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(os.Environ(), "NODE_PATH="+modules)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %v", command, err)
		}
	})
	return &reader{in: in, out: bufio.NewReader(out)}
}

// read returns what the reader shows of each message.
func (r *reader) read(t *testing.T, messages [][]byte) [][]leaf {
	t.Helper()
	written := make(chan error, 1)
	go func() {
		for _, m := range messages {
			if _, err := r.in.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(m))), m...)); err != nil {
				written <- err
				return
			}
		}
		written <- nil
	}()
	shown := make([][]leaf, len(messages))
	for i := range messages {
		line, err := r.out.ReadBytes('\n')
		if err != nil {
			t.Fatalf("after %d of %d messages: %v; `make test` installs what is missing", i, len(messages), err)
		}
		if err := json.Unmarshal(line, &shown[i]); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
	}
	if err := <-written; err != nil {
		t.Fatal(err)
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
