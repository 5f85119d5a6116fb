package config

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// Fingerprint returns the SHA-256 that e is about; colons between the octets
// are passed over.
func (e Exception) Fingerprint() (sum [32]byte, err error) {
	b, err := hex.DecodeString(strings.ReplaceAll(e.SHA256, ":", ""))
	if err != nil || len(b) != len(sum) {
		return sum, fmt.Errorf("%q is not a SHA-256 fingerprint", e.SHA256)
	}
	return [32]byte(b), nil
}

// End returns when e ends: at the end of its last day, UTC; zero is never.
func (e Exception) End() (time.Time, error) {
	if e.Until == "" {
		return time.Time{}, nil
	}
	day, err := time.Parse(time.DateOnly, e.Until)
	if err != nil {
		return time.Time{}, err
	}
	return day.AddDate(0, 0, 1), nil
}
