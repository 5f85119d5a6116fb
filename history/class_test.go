package history

import (
	"strings"
	"testing"
)

// TestWordsOfAClass: the words of the closed lists have hashes of their own.
func TestWordsOfAClass(t *testing.T) {
	seen := map[int64]string{}
	see := func(c class) {
		if before, ok := seen[c.number()]; ok {
			t.Errorf("%+v is as %s", c, before)
		}
		seen[c.number()] = c.direction + c.outcome
	}
	for _, direction := range []string{"", "outbound", "inbound"} {
		for _, outcome := range Outcomes {
			see(class{direction: direction, outcome: string(outcome)})
		}
	}
}

// TestStaleClassIsIndexed: the index is only used for the condition that it was made with.
func TestStaleClassIsIndexed(t *testing.T) {
	text, err := migrations.ReadFile("migrations/00006_stale.sql")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), " WHERE "+staleClass()+";") {
		t.Errorf("no index has the condition %s", staleClass())
	}
}
