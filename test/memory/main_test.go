package memory

import (
	"fmt"
	"os"
	"testing"

	"github.com/smimerelay/smimerelay/test/rig"
)

// program is the binary that is measured.
var program string

func TestMain(m *testing.M) {
	if name := os.Getenv(streamEnv); name != "" {
		os.Exit(streamChild(name))
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
