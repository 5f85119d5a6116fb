package message

import (
	"testing"
	"time"
)

func TestDate(t *testing.T) {
	want := time.Date(2026, 11, 29, 9, 5, 7, 0, time.UTC)
	for _, value := range []string{
		"Sun, 29 Nov 2026 10:05:07 +0100", "29 Nov 2026 09:05:07 +0000", "Sun,29 Nov 2026 09:05:07 GMT",
		"sun, 29 NOV 2026 09:05:07 UTC", "Sun, 29 Nov 2026 04:05:07 -0500 (EST)", "Sun, 29 Nov 2026\r\n 10:05:07 +0100",
		"Sun,  29 Nov 2026 09:05:07 -0000",
	} {
		got, err := parse(t, "Date: "+value+"\r\n\r\n").Date()
		if err != nil || !got.Equal(want) {
			t.Errorf("%q: %v, %v", value, got, err)
		}
	}
	if got, err := parse(t, "Date: Sun, 1 Nov 2026 10:05 +0000\r\n\r\n").Date(); err != nil || got.Second() != 0 {
		t.Errorf("without seconds: %v, %v", got, err)
	}
}

// What readers show as different times is no time.
func TestDoubtfulDate(t *testing.T) {
	for _, value := range []string{
		"", "2026-11-29T09:05:07Z", "2026-11-29 09:05:07 +0000", "Sun Nov 29 09:05:07 2026", "Sun, 29 Nov 2026 09:05:07",
		"Mon, 29 Nov 2026 09:05:07 +0000", "Sun, 29 Nov 26 09:05:07 +0000", "Sun, 29 Nov 2026 09:05:07 EST",
		"Sun, 29 Nov 2026 09:05:07 Z", "Sun, 29 Nov 2026 09:05:07 +2500", "Sun, 29 Nov 2026 09:05:07 +0160",
		"29 Feb 2026 09:05:07 +0000", "Sun, 29 Nov 2026 24:05:07 +0000", "Sun, 29 Nov 2026 09:05:60 +0000",
		"Sun, 29 Nov 2026 (x) 09:05:07 +0000", "(Mon) Sun, 29 Nov 2026 09:05:07 +0000", "Sun, 29 Nov 2026 09:05:07 +0000 +0100",
		"Sunday, 29 Nov 2026 09:05:07 +0000", "Sun, 29 November 2026 09:05:07 +0000", "1764407107",
		"=?us-ascii?q?Sun,_29_Nov_2026_09:05:07_+0000?=", "Sun, 029 Nov 2026 09:05:07 +0000", "Sun, 29 Nov 2026 9:05:07 +0000",
	} {
		if got, err := parse(t, "Date: "+value+"\r\n\r\n").Date(); err == nil {
			t.Errorf("%q: %v", value, got)
		}
	}
	for _, fields := range []string{"", "Date: 29 Nov 2026 09:05:07 +0000\r\nDate: 29 Nov 2026 09:05:07 +0000\r\n"} {
		if got, err := parse(t, fields+"\r\n").Date(); err == nil {
			t.Errorf("%q: %v", fields, got)
		}
	}
}
