package main

import (
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/BurntSushi/toml"
)

//go:embed expected.toml
var expected string

// check is one command of a case with what is right.
type check struct {
	// Case is the folder below CASES, such as "message/forged-pass".
	Case string `toml:"case"`
	// Run is a shell command. In the folder of a copy of the case, smimerelay is
	// the program under test.
	Run string `toml:"run"`
	// Exit is the exit status that is right.
	Exit int `toml:"exit"`
	// Want must match what the command prints, Never must not.
	Want  []string `toml:"want"`
	Never []string `toml:"never"`
}

// String names the check in one line.
func (c check) String() string { return c.Case + ": " + strings.Join(strings.Fields(c.Run), " ") }

// wire reports whether the check needs Postfix and fixed ports.
func (c check) wire() bool { return strings.HasPrefix(c.Case, "wire/") }

// judge returns what is wrong with the command's output and exit status; "" if
// nothing is.
func (c check) judge(output string, status int) (string, error) {
	if status != c.Exit {
		return fmt.Sprintf("exit status %d, expected %d", status, c.Exit), nil
	}
	for _, list := range []struct {
		patterns []string
		should   bool
		problem  string
	}{{c.Want, true, "does not print"}, {c.Never, false, "prints"}} {
		for _, p := range list.patterns {
			re, err := regexp.Compile("(?m)" + p)
			if err != nil {
				return "", fmt.Errorf("%s: %w", c, err)
			}
			if re.MatchString(output) != list.should {
				return fmt.Sprintf("%s %q", list.problem, p), nil
			}
		}
	}
	return "", nil
}

// load reads what is expected of the cases whose names begin with only.
func load(only string) ([]check, error) {
	var file struct {
		Check []check `toml:"check"`
	}
	meta, err := toml.Decode(expected, &file)
	if err != nil {
		return nil, fmt.Errorf("expected.toml: %w", err)
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		return nil, fmt.Errorf("expected.toml: unknown key %v", unknown)
	}
	var checks []check
	for _, c := range file.Check {
		if strings.HasPrefix(c.Case, only) {
			checks = append(checks, c)
		}
	}
	return checks, nil
}

// folder is where the cases are.
func folder() string {
	if dir := os.Getenv("CASES"); dir != "" {
		return dir
	}
	return "../shared/cases"
}

func present(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "message"))
	return err == nil
}
