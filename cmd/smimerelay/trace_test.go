package main

import (
	"testing"

	"github.com/smimerelay/smimerelay/history"
)

// TestOutcomesAreTold: trace has a sentence for each outcome.
func TestOutcomesAreTold(t *testing.T) {
	for _, o := range history.Outcomes {
		if outcomes[o] == "" {
			t.Errorf("no sentence for %q", o)
		}
	}
}
