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

// TestFishCompletes has fish load its script, without a word about it, and complete lines.
func TestFishCompletes(t *testing.T) {
	script := filepath.Join(t.TempDir(), "smimerelay.fish")
	writeCompletion(t, script, "fish")
	for line, want := range map[string]string{
		"cert im":                 "import",
		"encrypt --ciph":          "--cipher",
		"encrypt --cipher aes-12": "aes-128-cbc aes-128-gcm",
		"completion f":            "fish",
	} {
		out := shell(t, "fish", "--no-config", "-c", fmt.Sprintf("source %s; complete -C 'smimerelay %s'", script, line))
		var words []string
		for candidate := range strings.Lines(out) {
			word, _, _ := strings.Cut(strings.TrimSpace(candidate), "\t")
			words = append(words, word)
		}
		if got := strings.Join(words, " "); got != want {
			t.Errorf("%q is completed with %q instead of %q", line, got, want)
		}
	}
}

// TestZshLoads has zsh find its script as that of the command, and load it.
func TestZshLoads(t *testing.T) {
	dir := t.TempDir()
	writeCompletion(t, filepath.Join(dir, "_smimerelay"), "zsh")
	out := shell(t, "zsh", "-f", "-c", `fpath=("$1" $fpath); autoload -Uz compinit; compinit -u -D; autoload +X _smimerelay; print $_comps[smimerelay]`, "zsh", dir)
	if out != "_smimerelay\n" {
		t.Errorf("zsh: %s", out)
	}
	shell(t, "zsh", "-n", filepath.Join(dir, "_smimerelay"))
}

// shell runs a shell in an empty folder.
func shell(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: apt-get install %[1]s, or run make test as root\n%s", name, err, out)
	}
	return string(out)
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
