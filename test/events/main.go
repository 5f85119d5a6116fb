// Command events reads the output of `go test -json`. It prints a line for each
// package and everything that a failed test printed, and adds what it counted to
// the file TALLY; with -total it prints the sum of that file. When CI=true it fails
// if a test was skipped that must not be: a server that is missing is no reason to
// pass.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	total := flag.Bool("total", false, "print the sum of the file TALLY, nothing else")
	flag.Parse()
	if err := run(*total, os.Getenv("TALLY"), os.Getenv("CI") == "true"); err != nil {
		fmt.Fprintln(os.Stderr, "events:", err)
		os.Exit(1)
	}
}

func run(total bool, tally string, ci bool) error {
	if total {
		sum, err := readTally(tally)
		if err == nil {
			fmt.Println(sum)
		}
		return err
	}
	counted, err := report(os.Stdin, os.Stdout)
	if err != nil {
		return err
	}
	if tally != "" {
		if err := addTally(tally, counted); err != nil {
			return err
		}
	}
	return counted.verdict(ci)
}
