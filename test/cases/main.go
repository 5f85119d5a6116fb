// Command cases runs the inputs that once went wrong, which lie beside the
// project in CASES (by default ../shared/cases), and prints one line for each
// command of each case. expected.toml says what is right.
//
// The cases of the folder message call the offline verbs. Those of the folder
// wire start a private Postfix and the gateway with all listeners, on fixed ports:
// each runs in a network namespace of its own, which takes root.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	binary := flag.String("binary", "bin/smimerelay", "the program under test")
	only := flag.String("run", "", "run only the cases whose names begin with this")
	flag.Parse()
	os.Exit(run(*binary, *only))
}

// run returns the exit status: 0 if each case gave what is expected, or if there
// are no cases and this is not CI.
func run(binary, only string) int {
	dir := folder()
	if !present(dir) {
		fmt.Printf("cases: %s is absent, so none was run\n", dir)
		if os.Getenv("CI") == "true" {
			return 1
		}
		return 0
	}
	binary, err := filepath.Abs(binary)
	if err == nil {
		_, err = os.Stat(binary)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "cases: %v; build it with make build\n", err)
		return 2
	}
	checks, err := load(only)
	if err != nil {
		fmt.Fprintln(os.Stderr, "cases:", err)
		return 2
	}
	return report(runAll(checks, dir, binary))
}

// report prints a line a result and a line that counts them.
func report(results <-chan result) int {
	passed, failed := 0, 0
	for r := range results {
		if r.problem == "" {
			passed++
			fmt.Printf("ok    %s\n", r.check)
			continue
		}
		failed++
		fmt.Printf("WRONG %s: %s\n", r.check, r.problem)
		fmt.Fprintf(os.Stderr, "--- %s\n%s\n", r.check, r.output)
	}
	fmt.Printf("cases: %d passed, %d failed\n", passed, failed)
	if failed > 0 {
		return 1
	}
	return 0
}
