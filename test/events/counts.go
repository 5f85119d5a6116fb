package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// counts says how many tests there were; a subtest counts as one.
type counts struct {
	Passed, Failed, Skipped int
	Broken                  bool     // a package did not build, or failed outside of its tests
	Unwanted                []string // skipped, though they read no foreign material
}

func (c counts) String() string {
	return fmt.Sprintf("%d passed, %d failed, %d skipped", c.Passed, c.Failed, c.Skipped)
}

func (c *counts) add(e event) {
	switch {
	case e.Test == "":
		c.Broken = c.Broken || e.Action == "fail" || e.Action == "build-fail"
	case e.Action == "pass":
		c.Passed++
	case e.Action == "fail":
		c.Failed++
	case e.Action == "skip":
		c.Skipped++
		if !strings.Contains(e.Test, "Corpora") {
			c.Unwanted = append(c.Unwanted, e.name())
		}
	}
}

// verdict says why the run is no success.
func (c counts) verdict(ci bool) error {
	switch {
	case c.Failed > 0:
		return fmt.Errorf("%d tests failed", c.Failed)
	case c.Broken:
		return errors.New("a package failed")
	case ci && len(c.Unwanted) > 0:
		slices.Sort(c.Unwanted)
		return fmt.Errorf("skipped, and must not be: %s", strings.Join(c.Unwanted, ", "))
	}
	return nil
}

// addTally appends to the file what one run counted.
func addTally(file string, c counts) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(json.NewEncoder(f).Encode(c), f.Close())
}

// readTally returns the sum of the runs in the file.
func readTally(file string) (sum counts, err error) {
	f, err := os.Open(file)
	if err != nil {
		return counts{}, err
	}
	defer f.Close()
	for d := json.NewDecoder(f); ; {
		var c counts
		if err := d.Decode(&c); errors.Is(err, io.EOF) {
			return sum, nil
		} else if err != nil {
			return counts{}, fmt.Errorf("%s: %w", file, err)
		}
		sum.Passed += c.Passed
		sum.Failed += c.Failed
		sum.Skipped += c.Skipped
	}
}
