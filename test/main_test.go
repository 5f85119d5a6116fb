// Package test holds the whole-system tests: the real binary between a real
// Postfix, a real OpenLDAP and a sink that keeps every octet, with other S/MIME
// implementations to judge what arrives.
package test

import (
	"fmt"
	"os"
	"testing"

	"github.com/smimerelay/smimerelay/test/rig"
)

// program is the binary that is tested: built once, or the one that the
// environment names, such as one out of a package.
var program = os.Getenv("SMIMERELAY")

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
