package directory

import (
	"testing"

	"go.uber.org/goleak"
)

// No test may leave a goroutine behind: each would hold a connection.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
