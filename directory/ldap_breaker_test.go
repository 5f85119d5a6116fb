package directory

import (
	"context"
	"errors"
	"testing"
)

func TestBreakerTriesAgainAfterAPanic(t *testing.T) {
	t.Parallel()
	clock := newFakeClock()
	b := breaker{clock: clock.Now}
	ill := func(err error) bool { return err != nil }
	fail := func() error { return errDown }
	for range breakAfter {
		if err := b.guard(ill, fail); !errors.Is(err, errDown) {
			t.Fatal(err)
		}
	}
	clock.advance(restFirst)
	func() {
		defer func() { _ = recover() }()
		_ = b.guard(ill, func() error { panic("hostile") })
	}()
	if err := b.guard(ill, func() error { return nil }); err != nil {
		t.Errorf("not asked again: %v", err)
	}
}

func TestBreakerCountsOnlyWhatSpeaksAgainstTheServer(t *testing.T) {
	t.Parallel()
	b := breaker{clock: newFakeClock().Now}
	ill := func(err error) bool { return err != nil }
	for _, err := range []error{errDown, errDown, context.Canceled, errBusy, context.Canceled, nil, errDown, errDown} {
		if got := b.guard(ill, func() error { return err }); !errors.Is(got, err) {
			t.Errorf("got %v, want %v", got, err)
		}
	}
	if err := b.guard(ill, func() error { return errDown }); !errors.Is(err, errDown) {
		t.Errorf("rests too early: %v", err)
	}
	if err := b.guard(ill, func() error { return nil }); !errors.Is(err, errResting) {
		t.Errorf("does not rest: %v", err)
	}
}
