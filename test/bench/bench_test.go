package main

import (
	"fmt"
	"testing"
)

// TestCases runs every operation once at the smallest size, so that the bench
// does not rot.
func TestCases(t *testing.T) {
	for _, key := range []string{"rsa2048", "p256"} {
		w, err := newWorld(t.TempDir(), key)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range cases() {
			if c.size > 75_000 || c.recipients > 10 {
				continue
			}
			j, err := w.prepare(c)
			if err != nil {
				t.Fatal(err)
			}
			j.floor()
			j.engine()
		}
	}
}

// BenchmarkEngine measures the engine alone in one cell of the table, for a profile of it:
// go test ./test/bench -run XXX -bench 'Engine/p256/verify/5000/1$' -cpuprofile FILE.
func BenchmarkEngine(b *testing.B) {
	for _, key := range []string{"rsa2048", "p256"} {
		b.Run(key, func(b *testing.B) {
			w, err := newWorld(b.TempDir(), key)
			if err != nil {
				b.Fatal(err)
			}
			for _, c := range cases() {
				b.Run(fmt.Sprintf("%s/%d/%d", c.operation, c.size, c.recipients), func(b *testing.B) {
					j, err := w.prepare(c)
					if err != nil {
						b.Fatal(err)
					}
					for b.Loop() {
						j.engine()
					}
				})
			}
		})
	}
}
