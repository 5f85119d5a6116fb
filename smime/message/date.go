package message

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

var (
	errDate     = errors.New("there is not exactly one Date field")
	errDateForm = errors.New("not a date-time of RFC 5322")
)

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

// parseDate reads a date-time of RFC 5322 section 3.3 with the names of zones that
// every reader knows (section 4.3), and a comment at its end as many write it.
func parseDate(value string) (time.Time, error) {
	r := dateReader{rest: value}
	weekday := -1
	if len(value) > 3 && value[3] == ',' {
		weekday = r.name(weekdays)
		r.take(",")
		r.blanks()
	}
	day := r.dayOfMonth()
	r.gap()
	month := 1 + r.name(months)
	r.gap()
	year := r.number(4)
	r.gap()
	hour, minute, second := r.clock()
	r.gap()
	ahead := r.zone()
	r.comment()
	if r.bad || r.rest != "" {
		return time.Time{}, errDateForm
	}
	// What is out of range would be normalized to another time.
	t := time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC)
	if t.Day() != day || hour > 23 || minute > 59 || second > 59 {
		return time.Time{}, errDateForm
	}
	if there := int(t.Weekday()); weekday >= 0 && weekday != there {
		return time.Time{}, fmt.Errorf("the weekday is %s: %w", weekdays[there], errDateForm)
	}
	return t.Add(-ahead), nil
}

// The names of RFC 5322 section 3.3, in the order of package time.
var (
	weekdays = []string{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"}
	months   = []string{"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"}
)

// A dateReader takes the parts of a date-time one after the other. bad says that one was
// not there.
type dateReader struct {
	rest string
	bad  bool
}

// take skips a text.
func (r *dateReader) take(text string) {
	var ok bool
	r.rest, ok = strings.CutPrefix(r.rest, text)
	r.bad = r.bad || !ok
}

// blanks skips white space, and gap some that must be there.
func (r *dateReader) blanks() { r.rest = strings.TrimLeft(r.rest, " \t") }

func (r *dateReader) gap() {
	before := len(r.rest)
	r.blanks()
	r.bad = r.bad || len(r.rest) == before
}

// name takes three letters, in any case, and returns which of the names they are.
func (r *dateReader) name(names []string) int {
	const size = 3
	if len(r.rest) < size {
		r.bad = true
		return 0
	}
	word := r.rest[:size]
	r.rest = r.rest[size:]
	// Letters beyond ASCII that fold to those in it are longer.
	i := slices.IndexFunc(names, func(name string) bool { return strings.EqualFold(name, word) })
	r.bad = r.bad || i < 0
	return i
}

// number takes so many digits.
func (r *dateReader) number(digits int) (n int) {
	if len(r.rest) < digits {
		r.bad = true
		return 0
	}
	for _, c := range []byte(r.rest[:digits]) {
		if c < '0' || c > '9' {
			r.bad = true
			return 0
		}
		n = 10*n + int(c-'0')
	}
	r.rest = r.rest[digits:]
	return n
}

// dayOfMonth takes one digit, or two.
func (r *dateReader) dayOfMonth() int {
	if len(r.rest) > 1 && r.rest[1] >= '0' && r.rest[1] <= '9' {
		return r.number(2)
	}
	return r.number(1)
}

// clock takes the time of day, of which the seconds may be missing.
func (r *dateReader) clock() (hour, minute, second int) {
	hour = r.number(2)
	r.take(":")
	minute = r.number(2)
	if strings.HasPrefix(r.rest, ":") {
		r.take(":")
		second = r.number(2)
	}
	return hour, minute, second
}

// zone takes a time zone and returns how far it is ahead of UTC.
func (r *dateReader) zone() time.Duration {
	sign := time.Duration(1)
	switch {
	case strings.HasPrefix(r.rest, "+"):
	case strings.HasPrefix(r.rest, "-"):
		sign = -1
	default:
		for _, name := range []string{"UTC", "UT", "GMT"} {
			if hasPrefixFold(r.rest, name) {
				r.rest = r.rest[len(name):]
				return 0
			}
		}
		r.bad = true
		return 0
	}
	r.rest = r.rest[1:]
	hours, minutes := r.number(2), r.number(2)
	r.bad = r.bad || hours > 14 || minutes > 59
	return sign * (time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute)
}

// comment skips a comment at the end, with no other in it.
func (r *dateReader) comment() {
	if r.rest == "" {
		return
	}
	r.blanks()
	r.take("(")
	text, after, ok := strings.Cut(r.rest, ")")
	r.bad = r.bad || !ok || strings.ContainsAny(text, `(\`)
	r.rest = after
}
