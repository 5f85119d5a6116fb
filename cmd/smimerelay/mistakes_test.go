package main

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/smimerelay/smimerelay/internal/testing/configtest"
)

// configurations are those that the commands of testdata/mistakes name.
var configurations = map[string]string{
	"gw.toml":        "hostname = \"gw.example.org\"\ndomains = [\"example.org\"]\n",
	"listen.toml":    "[[listener]]\nname = \"in\"\nprotocol = \"lmpt\"\nadress = \"127.0.0.1:10026\"\n",
	"port.toml":      "[[listener]]\nname = \"in\"\nprotocol = \"lmtp\"\naddress = \"127.0.0.1\"\n",
	"rule.toml":      "[[rule]]\nname = \"all\"\nsign = \"yes\"\nencrpyt = \"require\"\n",
	"table.toml":     "[listeners]\nname = \"in\"\n[next-hop]\naddress = \"127.0.0.1:25\"\n",
	"quote.toml":     "hostname = gw.example.org\n",
	"ca.toml":        "hostname = \"gw.example.org\"\ndomains = [\"example.org\"]\n[ca]\nurl = \"http://pki.example.org/\"\n",
	"keyword.toml":   "[store]\nurl = \"key.db\"\nkey_file = \"password\"\n",
	"keyfolder.toml": "[store]\nurl = \"key.db\"\nkey_file = \".\"\n",
	"pgdown.toml":    "[store]\nurl = \"postgres://gw@127.0.0.1:1/smime\"\n",
	"password.toml":  "[store]\nurl = \"postgres://gw:secret@db/smime\"\n",
}

// TestMistakes runs commands as people mistype them. Each message says what is wrong,
// where, and what to do: the remedy stands behind a semicolon.
func TestMistakes(t *testing.T) {
	const file = "testdata/mistakes/commands.txt"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	file2, err := filepath.Abs(file)
	if err != nil {
		t.Fatal(err)
	}
	dir := makePKI(t)
	for name, content := range configurations {
		content = configtest.Elsewhere(content, dir)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	files := map[string]string{"message.eml": "From: alice@example.org\n\nhello\n", "empty.eml": "", "wrong": "not the password\n"}
	files["key.pem"], files["der.p12"] = onlyKey(t, "alice.pem"), read(t, "alice.cer")
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var got strings.Builder
	mistakes := 0
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		command, ok := strings.CutPrefix(line, "$ ")
		switch {
		case ok:
			mistakes++
			status, message := mistaken(strings.Fields(command))
			fmt.Fprintf(&got, "$ %s\n%s", command, strings.ReplaceAll(message, dir, "$DIR"))
			for problem := range strings.Lines(message) {
				if status == 0 || !strings.Contains(problem, "; ") {
					t.Errorf("%s: status %d, a message without a remedy: %s", command, status, problem)
				}
			}
		case line == "" || strings.HasPrefix(line, "#"):
			got.WriteString(line + "\n")
		}
	}
	if mistakes < 40 {
		t.Errorf("%d mistakes", mistakes)
	}
	if *update {
		if err := os.WriteFile(file2, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(text), got.String()); diff != "" {
		t.Errorf("the messages differ (-want +got):\n%s", diff)
	}
}

// mistaken runs a command, and returns what it says is wrong.
func mistaken(args []string) (status int, message string) {
	var stdout, stderr bytes.Buffer
	status = run(args, &app{stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr, clock: time.Now})
	if stderr.Len() == 0 { // a report on files, with one that was refused
		return status, strings.SplitAfter(stdout.String(), "\n")[0]
	}
	return status, stderr.String()
}

func read(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// onlyKey returns the private key of a PEM file.
func onlyKey(t *testing.T, file string) string {
	t.Helper()
	rest := []byte(read(t, file))
	for {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			t.Fatalf("%s has no private key", file)
		}
		if strings.HasSuffix(b.Type, "PRIVATE KEY") {
			return string(pem.EncodeToMemory(b))
		}
	}
}
