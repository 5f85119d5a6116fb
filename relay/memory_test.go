package relay

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"
)

// Whatever is reserved and released, in whatever order: no more than the limit is in
// use, large shares leave an eighth, and everything comes back.
func TestMemoryIsBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const limit = 80 << 20
		m := NewMemory(limit)
		shares := make([]*Share, 6)
		for i := range shares {
			shares[i] = m.Share()
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			s := shares[rapid.IntRange(0, len(shares)-1).Draw(t, "share")]
			n := rapid.Int64Range(1, 40<<20).Draw(t, "octets")
			if rapid.Bool().Draw(t, "release") {
				s.Release()
			} else {
				s.Reserve(n)
			}
			var used, large int64
			for _, s := range shares {
				used += s.held
				if s.held > smallShare {
					large += s.held
				}
			}
			if used != m.used || large != m.large || used > limit || large > limit-limit/8 {
				t.Fatalf("used %d of %d counted, large %d of %d counted", used, m.used, large, m.large)
			}
		}
		for _, s := range shares {
			s.Release()
		}
		if m.used != 0 || m.large != 0 {
			t.Fatalf("%d octets did not come back", m.used)
		}
	})
}

// Large messages leave room for small ones, and what never fits is known as such.
func TestMemoryForSmallMessages(t *testing.T) {
	m := NewMemory(80 << 20)
	large, small, none := m.Share(), m.Share(), m.Share()
	if !large.Reserve(70<<20) || large.Reserve(1) || !large.Never() {
		t.Error("a large share is not bounded by seven eighths")
	}
	if !small.Reserve(2<<20) || small.Never() {
		t.Error("a small share has no room beside a large one")
	}
	if none.Reserve(20<<20) || none.Never() {
		t.Error("what fits later is taken for what never fits")
	}
	if none.Reserve(90<<20) || !none.Never() {
		t.Error("what never fits is not known as that")
	}
}

// Those who wait go on in their order, a small one before a large one that has no
// room yet; one whose context ends holds nothing.
func TestMemoryWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(80 << 20)
		first, late, next := m.Share(), m.Share(), m.Share()
		first.Reserve(60 << 20)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- late.Wait(ctx, 50<<20) }()
		synctest.Wait()
		if err := next.Wait(t.Context(), 1<<20); err != nil {
			t.Error(err)
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) || late.held != 0 {
			t.Errorf("%v, holds %d", err, late.held)
		}
		go func() { done <- late.Wait(t.Context(), 500<<20) }()
		synctest.Wait()
		next.Release()
		behind := m.Share()
		after := make(chan error, 1)
		go func() { after <- behind.Wait(t.Context(), 8<<20) }()
		synctest.Wait()
		if len(m.waiting) != 2 {
			t.Error("a large share does not wait for the one before it")
		}
		first.Release()
		if err := <-done; err != nil || late.held != 70<<20 {
			t.Errorf("%v, holds %d", err, late.held)
		}
		late.Release()
		if err := <-after; err != nil || behind.held != 8<<20 {
			t.Errorf("%v, holds %d", err, behind.held)
		}
		// Its context ended as it was served.
		m.giveUp(&waiter{share: behind})
		if m.used != 0 {
			t.Errorf("%d octets did not come back", m.used)
		}
	})
}
