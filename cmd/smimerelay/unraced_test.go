package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/rogpeppe/go-internal/testscript"
)

// unraced runs the tests with a smimerelay in PATH that is built without the race
// detector. The scripts start it hundreds of times, which takes minutes with the
// detector; what runs side by side in it has tests in its own package.
type unraced struct{ testscript.TestingM }

func (u unraced) Run() int {
	if !raced {
		return u.TestingM.Run()
	}
	dir, err := os.MkdirTemp("", "smimerelay")
	if err != nil {
		return failed(err)
	}
	defer os.RemoveAll(dir)
	build := exec.Command("go", "build", "-race=false", "-o", filepath.Join(dir, "smimerelay"), ".")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return failed(fmt.Errorf("go build: %w", err))
	}
	if err := os.Setenv("PATH", dir+string(filepath.ListSeparator)+os.Getenv("PATH")); err != nil {
		return failed(err)
	}
	return u.TestingM.Run()
}

func failed(err error) int {
	fmt.Fprintln(os.Stderr, err)
	return 1
}
