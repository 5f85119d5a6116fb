package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs/intake"
)

func TestBar(t *testing.T) {
	now := time.Unix(0, 0)
	var out bytes.Buffer
	b := newBar(&out, 1000, func() time.Time { return now })
	for range 1000 {
		now = now.Add(time.Millisecond)
		if err := b.step(); err != nil {
			t.Fatal(err)
		}
	}
	drawn := strings.Split(out.String(), "\r")[1:]
	if len(drawn) < 10 || len(drawn) > 12 {
		t.Errorf("drawn %d times in a second", len(drawn))
	}
	if want := "[" + strings.Repeat("#", barWidth) + "] 1000 of 1000, 0s left\x1b[K"; drawn[len(drawn)-1] != want {
		t.Errorf("at the end %q", drawn[len(drawn)-1])
	}
	b.done, b.total = 2000, 60_000
	now = b.start.Add(2 * time.Second)
	if got := b.text(now); got != "\r[#"+strings.Repeat(".", barWidth-1)+"] 2000 of 60000, 58s left\x1b[K" {
		t.Errorf("in between %q", got)
	}
}

// TestBarAndRefusals wants the files that were refused above the bar, and no
// others.
func TestBarAndRefusals(t *testing.T) {
	var out bytes.Buffer
	p := &barImport{lineImport: lineImport{w: &out}, bar: newBar(&out, 2, time.Now)}
	p.outcome(intake.Outcome{File: "good", Result: intake.Added})
	p.outcome(intake.Outcome{File: "b\nad", Result: intake.Refused, Reason: "no\nway"})
	p.end(intake.Summary{Added: 1, Refused: 1})
	if got := out.String(); !strings.Contains(got, "\x1b[Krefused b\\nad: no\\nway\n") || strings.Contains(got, "good") ||
		!strings.HasSuffix(got, "1 added, 0 already known, 1 refused; 0 new identities and certificates\n") {
		t.Errorf("%q", got)
	}
}

func TestIsTerminal(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if isTerminal(null) || isTerminal(&bytes.Buffer{}) {
		t.Error("what is none is taken for a terminal")
	}
}
