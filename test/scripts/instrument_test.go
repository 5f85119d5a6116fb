package scripts

import (
	"os"
	"path/filepath"
	"testing"
)

// The compiler is asked to instrument the packages of this module and no others; other
// tools, and other arguments, are as they were.
func TestInstrument(t *testing.T) {
	bin := t.TempDir()
	for _, tool := range []string{"compile", "link"} {
		if err := os.WriteFile(filepath.Join(bin, tool), []byte("#!/bin/bash\n[ \"$1\" != -V=full ] || { echo compile version go1.26.1; exit; }\necho \"$@\"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		tool, of string
		args     []string
		want     string
	}{
		"own":     {"compile", "github.com/smimerelay/smimerelay/relay", []string{"-d=libfuzzer", "a b"}, "-d=libfuzzer a b\n"},
		"library": {"compile", "modernc.org/sqlite", []string{"-p", "x", "-d=libfuzzer", "a b"}, "-p x a b\n"},
		"linker":  {"link", "modernc.org/sqlite", []string{"-d=libfuzzer"}, "-d=libfuzzer\n"},
		"version": {"compile", "", []string{"-V=full"}, "compile version go1.26.1 instrumented=module\n"},
	} {
		output, err := script(t, nil, []string{"TOOLEXEC_IMPORTPATH=" + c.of}, "instrument", append([]string{filepath.Join(bin, c.tool)}, c.args...)...)
		if err != nil || output != c.want {
			t.Errorf("%s: %q, %v", name, output, err)
		}
	}
}
