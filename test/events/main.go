// Command events reads the output of `go test -json`. It prints a line for each
// package and everything that a failed test printed, and fails when a test was
// skipped that must not be: a server that is missing is no reason to pass.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// event is the TestEvent of `go doc test2json`.
type event struct {
	Action, Package, Test, Output string
}

func main() {
	skipped, err := report(os.Stdin, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "events:", err)
		os.Exit(1)
	}
	if len(skipped) > 0 {
		fmt.Printf("FAIL: skipped, and must not be: %s\n", strings.Join(skipped, ", "))
		os.Exit(1)
	}
}

// report prints what a person wants to read of the events, and returns the
// tests that were skipped and must not be.
func report(r io.Reader, w io.Writer) (skipped []string, err error) {
	output := map[string][]string{} // by package and test
	for d := json.NewDecoder(r); ; {
		var e event
		if err := d.Decode(&e); err == io.EOF {
			slices.Sort(skipped)
			return skipped, nil
		} else if err != nil {
			return nil, err
		}
		key := e.Package + "." + e.Test
		switch e.Action {
		case "output":
			output[key] = append(output[key], e.Output)
			continue
		case "skip":
			if e.Test != "" && !strings.Contains(e.Test, "Corpora") {
				skipped = append(skipped, key)
			}
		case "fail", "build-output", "build-fail":
			fmt.Fprint(w, e.Output, strings.Join(output[key], ""))
		case "pass":
			if e.Test == "" && len(output[key]) > 0 {
				fmt.Fprint(w, output[key][len(output[key])-1])
			}
		}
		delete(output, key)
	}
}
