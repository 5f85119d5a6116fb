package routes

import (
	"fmt"
	"os"
	"testing"

	"github.com/smimerelay/smimerelay/test/rig"
)

// binary is the variable that names the binary to test, where there is one already.
const binary = "SMIMERELAY"

// program is the binary that is tested: built once, or the one that the environment names.
var program = os.Getenv(binary)

func TestMain(m *testing.M) {
	if program != "" {
		os.Exit(m.Run())
	}
	dir, err := os.MkdirTemp("", "smimerelay")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status := 1
	if program, err = rig.Build(dir); err == nil {
		status = m.Run()
	} else {
		fmt.Fprintln(os.Stderr, "the binary does not build:", err)
	}
	os.RemoveAll(dir)
	os.Exit(status)
}
