package enrolment

import (
	"os"
	"testing"

	"github.com/smimerelay/smimerelay/test/rig"
)

// program is the binary that is tested.
var program string

func TestMain(m *testing.M) { os.Exit(rig.Main(m, &program)) }
