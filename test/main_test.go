// Package test holds the whole-system tests: the real binary between a real
// Postfix, a real OpenLDAP and a sink that keeps every octet, with other S/MIME
// implementations to judge what arrives.
package test

import (
	"os"
	"testing"

	"github.com/smimerelay/smimerelay/test/rig"
)

// program is the binary that is tested.
var program string

func TestMain(m *testing.M) { os.Exit(rig.Main(m, &program)) }
