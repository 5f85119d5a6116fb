package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// event is the TestEvent of `go doc test2json`.
type event struct {
	Action, Package, Test, Output string
}

// report prints what a person wants to read of the events, and counts them.
func report(r io.Reader, w io.Writer) (counted counts, err error) {
	output := map[string][]string{} // by package and test
	for d := json.NewDecoder(r); ; {
		var e event
		if err := d.Decode(&e); errors.Is(err, io.EOF) {
			return counted, nil
		} else if err != nil {
			return counts{}, err
		}
		counted.add(e)
		key := e.name()
		switch e.Action {
		case "output":
			output[key] = append(output[key], e.Output)
			continue
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

func (e event) name() string { return e.Package + "." + e.Test }
