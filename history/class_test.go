package history

import (
	"context"
	"strings"
	"testing"
	"time"
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

// TestClassMeanwhile: a search that goes on while rows get their class finds each row once.
func TestClassMeanwhile(t *testing.T) {
	ctx := context.Background()
	s, to := openStore(t)
	var rows []Row
	for i := range 6 {
		rows = append(rows, Row{Time: time.Unix(1_000_000+int64(i), 0), ID: string(rune('a' + i)), Recipient: to, Rule: "default", Outcome: Outcomes[i%2]})
	}
	if _, err := s.Write(ctx, Batch{Rows: rows}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.write.ExecContext(ctx, `UPDATE smimerelay_history SET class = NULL WHERE seq > 1`); err != nil {
		t.Fatal(err)
	}
	for limit, want := range map[int]string{4: "fedc", 10: "fedcba"} {
		c := class{rule: "default"}
		found, err := s.searchUnclassed(ctx, c, always, limit)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.classify(ctx); err != nil {
			t.Fatal(err)
		}
		if found, err = s.addClassed(ctx, c, always, limit, found); err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, r := range found {
			got += r.ID
		}
		if got != want {
			t.Errorf("limit %d: %s, want %s", limit, got, want)
		}
	}
}
