package rig

import (
	"errors"
	"fmt"
	"os"
	"testing"
)

// Binary is the variable of the environment that names the binary to test, such as one out
// of a package.
const Binary = "SMIMERELAY"

// Main runs the tests of a package and returns its exit status. program becomes the path of
// the binary: the one that the environment names, or one that is built, with others that
// have to be beside it.
func Main(m *testing.M, program *string, others ...func(dir string) error) (status int) {
	err := func() (err error) {
		dir, err := os.MkdirTemp("", "smimerelay")
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
		if *program = os.Getenv(Binary); *program == "" || len(others) > 0 {
			if *program, err = Build(dir); err != nil {
				return fmt.Errorf("the binary does not build: %w", err)
			}
		}
		for _, build := range others {
			if err := build(dir); err != nil {
				return err
			}
		}
		status = m.Run()
		return nil
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return status
}
