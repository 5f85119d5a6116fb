package message

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
)

var (
	errDate     = errors.New("there is not exactly one Date field")
	errDateForm = errors.New("not a date-time of RFC 5322")
)

// dateForm is date-time of RFC 5322 section 3.3 with the names of zones that
// every reader knows (section 4.3), and a comment at its end as many write it.
var dateForm = regexp.MustCompile(`^(?i:(?:(Mon|Tue|Wed|Thu|Fri|Sat|Sun),[ \t]*)?([0-9]{1,2})[ \t]+` +
	`(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[ \t]+([0-9]{4})[ \t]+` +
	`([0-9]{2}):([0-9]{2})(?::([0-9]{2}))?[ \t]+([+-](?:0[0-9]|1[0-4])[0-5][0-9]|UT|UTC|GMT)(?:[ \t]*\([^()\\]*\))?)$`)

// Date returns the time of the Date field (RFC 5322 section 3.6.1), of which
// there must be exactly one. It fails where two readers may show two times: an
// obsolete or foreign form, no zone, a weekday that is another.
func (m *Message) Date() (time.Time, error) {
	dates := m.All("Date")
	if len(dates) != 1 {
		return time.Time{}, errDate
	}
	t, err := parseDate(dates[0])
	if err != nil {
		return time.Time{}, fmt.Errorf("field Date %q: %w", dates[0], err)
	}
	return t, nil
}

func parseDate(value string) (time.Time, error) {
	p := dateForm.FindStringSubmatch(value)
	if p == nil {
		return time.Time{}, errDateForm
	}
	zone := p[8]
	if zone[0] != '+' && zone[0] != '-' {
		zone = "+0000"
	}
	seconds := p[7]
	if seconds == "" {
		seconds = "00"
	}
	month := strings.ToUpper(p[3][:1]) + strings.ToLower(p[3][1:])
	t, err := time.Parse("2 Jan 2006 15:04:05 -0700", strings.Join([]string{p[2], month, p[4], p[5] + ":" + p[6] + ":" + seconds, zone}, " "))
	if err != nil {
		return time.Time{}, errDateForm
	}
	if day := t.Weekday().String()[:3]; p[1] != "" && !strings.EqualFold(day, p[1]) {
		return time.Time{}, fmt.Errorf("the weekday is %s: %w", day, errDateForm)
	}
	return t, nil
}
