package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestBashCompletes has bash complete a line word by word.
func TestBashCompletes(t *testing.T) {
	script := filepath.Join(t.TempDir(), "completion")
	writeCompletion(t, script, "bash")
	for line, want := range map[string]string{
		"":                        "serve",
		"ce":                      "cert",
		"cert im":                 "import",
		"cert import --no-such x": "",
		"encrypt --ciph":          "--cipher",
		"encrypt --cipher aes-12": "aes-128-cbc aes-128-gcm",
		"completion f":            "fish",
	} {
		words := strings.Split("smimerelay "+line, " ")
		command := fmt.Sprintf("source %s; COMP_WORDS=(%s); COMP_CWORD=%d; _smimerelay; echo \"${COMPREPLY[*]}\"",
			script, strings.Join(quote(words), " "), len(words)-1)
		out, err := exec.Command("bash", "-c", command).CombinedOutput()
		if err != nil {
			t.Fatalf("%q: %v %s", line, err, out)
		}
		if got := strings.TrimSpace(string(out)); got != want && (line != "" || !strings.HasPrefix(got, want)) {
			t.Errorf("%q is completed with %q instead of %q", line, got, want)
		}
	}
}

// TestShellsReadCompletions has the other shells parse their scripts, where they are
// installed.
func TestShellsReadCompletions(t *testing.T) {
	for _, shell := range []string{"zsh", "fish"} {
		script := filepath.Join(t.TempDir(), shell)
		writeCompletion(t, script, shell)
		if _, err := exec.LookPath(shell); err != nil {
			t.Logf("%s is not installed: its script was only written", shell)
			continue
		}
		if out, err := exec.Command(shell, "-n", script).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", shell, err, out)
		}
	}
}

func writeCompletion(t *testing.T, file, shell string) {
	t.Helper()
	var out, errs bytes.Buffer
	if status := run([]string{"completion", shell}, &app{stdout: &out, stderr: &errs}); status != exitDone {
		t.Fatalf("status %d: %s", status, errs.String())
	}
	if err := os.WriteFile(file, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

func quote(words []string) []string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = "'" + w + "'"
	}
	return quoted
}
