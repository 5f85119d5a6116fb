package service

import (
	"testing"
	"time"
)

// TestPolls: an interval that is not set has the default that the manual names, one
// that is set stays.
func TestPolls(t *testing.T) {
	if got, want := (Polls{}).withDefaults(), (Polls{Store: 2 * time.Second, Authority: 30 * time.Second, Expiry: time.Minute, Enrolment: 10 * time.Second, Publish: 10 * time.Second}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	set := Polls{Store: 1, Authority: 2, Expiry: 3, Enrolment: 4, Publish: 5}
	if got := set.withDefaults(); got != set {
		t.Errorf("%+v, want %+v", got, set)
	}
}
