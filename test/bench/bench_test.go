package main

import "testing"

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
