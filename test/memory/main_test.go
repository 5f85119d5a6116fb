package memory

import (
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
	os.Exit(rig.Main(m, &program))
}
