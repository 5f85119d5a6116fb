package message

import (
	"regexp"
	"strings"
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

// dateForm is what parseDate reads, in one line. In the case of letters it is for ASCII only.
var dateForm = regexp.MustCompile(`^(?i:(?:(Mon|Tue|Wed|Thu|Fri|Sat|Sun),[ \t]*)?([0-9]{1,2})[ \t]+` +
	`(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[ \t]+([0-9]{4})[ \t]+` +
	`([0-9]{2}):([0-9]{2})(?::([0-9]{2}))?[ \t]+([+-](?:0[0-9]|1[0-4])[0-5][0-9]|UT|UTC|GMT)(?:[ \t]*\([^()\\]*\))?)$`)

// dateByForm reads a date by dateForm and package time.
func dateByForm(value string) (time.Time, bool) {
	p := dateForm.FindStringSubmatch(value)
	if p == nil {
		return time.Time{}, false
	}
	zone, seconds := p[8], p[7]
	if zone[0] != '+' && zone[0] != '-' {
		zone = "+0000"
	}
	if seconds == "" {
		seconds = "00"
	}
	month := strings.ToUpper(p[3][:1]) + strings.ToLower(p[3][1:])
	t, err := time.Parse("2 Jan 2006 15:04:05 -0700", strings.Join([]string{p[2], month, p[4], p[5] + ":" + p[6] + ":" + seconds, zone}, " "))
	return t, err == nil && (p[1] == "" || strings.EqualFold(t.Weekday().String()[:3], p[1]))
}

// FuzzDate: a date is read exactly where it has the form, and as package time reads it.
func FuzzDate(f *testing.F) {
	for _, seed := range []string{
		"Sun, 29 Nov 2026 10:05:07 +0100", "1 Feb 2000 00:00 UT", "Sun,1 Nov 2026 10:05:59 utc (a) ", "mon, 29 Feb 2024 23:59:59 -1459(EST)",
		"Sun, 29 Nov 2026 09:05:60 +0000", "29 Feb 2026 09:05:07 +0000", "31 Apr 2026 09:05:07 GMT", "0 Jan 2026 09:05:07 +1500", "9 Dec 0000 24:00:00 +0060",
		"Sun, 29 Nov 2026 09:05:07 +0000 ", "Sun, 29 Nov 2026 09:05:07 UTCX", "Mon 9 Nov 2026 09:05:07 +0000", "Sun, 29 Nov 2026 09:05:07 +0000 (a(b))", "",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if strings.ContainsAny(value, "\u017f\u212a") {
			return // they are letters of ASCII in another case to package regexp
		}
		want, ok := dateByForm(value)
		got, err := parseDate(value)
		if (err == nil) != ok || ok && !got.Equal(want) {
			t.Errorf("%q: %v, %v, want %v, %v", value, got, err, want, ok)
		}
	})
}

func BenchmarkDate(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parseDate("Sun, 29 Nov 2026 10:05:07 +0100"); err != nil {
			b.Fatal(err)
		}
	}
}
