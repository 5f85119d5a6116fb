package scripts

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// script runs a script of this folder with stand-ins for the commands that it
// calls, by name, before all others.
func script(t *testing.T, commands map[string]string, environment []string, name string, args ...string) (output string, err error) {
	t.Helper()
	bin := t.TempDir()
	for command, body := range commands {
		if err := os.WriteFile(filepath.Join(bin, command), []byte("#!/bin/bash\n"+body), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	here, err := filepath.Abs(name)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(here, args...)
	cmd.Env = append(append(os.Environ(), environment...), "PATH="+bin+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	return string(out), err
}
