package config

import (
	"testing"
	"time"
)

// TestExceptionEnd: an exception applies on its last day.
func TestExceptionEnd(t *testing.T) {
	got, err := Exception{Until: "2027-01-31"}.End()
	if want := time.Date(2027, 2, 1, 0, 0, 0, 0, time.UTC); err != nil || !got.Equal(want) {
		t.Errorf("%v, %v instead of %v", got, err, want)
	}
	if got, err := (Exception{}).End(); err != nil || !got.IsZero() {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := (Exception{Until: "31.01.2027"}).End(); err == nil {
		t.Error("no date, and no error")
	}
}
