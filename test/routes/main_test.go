package routes

import (
	"fmt"
	"os"
	"testing"

	"github.com/smimerelay/smimerelay/test/rig"
)

// program is the binary that is tested, built once.
var program string

func TestMain(m *testing.M) {
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
