package console

import (
	"fmt"
	"strings"
	"time"
)

// format is how a language writes times and numbers.
type format struct {
	moment, hour, day, month string // layouts of package time
	thousands, decimal       string
}

var formats = map[string]format{
	"en": {"2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02", "2006-01", ",", "."},
	"de": {"02.01.2006 15:04:05", "02.01.2006 15:04", "02.01.2006", "01.2006", ".", ","},
}

// in writes a time, in UTC; the zero value is none.
func in(layout string) func(time.Time) string {
	return func(at time.Time) string {
		if at.IsZero() {
			return "–"
		}
		return at.UTC().Format(layout)
	}
}

// number writes a whole number.
func (f format) number(n any) string {
	digits := fmt.Sprint(n)
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	}
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + f.thousands + digits[at:]
	}
	return sign + digits
}

// tenths writes a number with one decimal place.
func (f format) tenths(x float64) string {
	return strings.Replace(fmt.Sprintf("%.1f", x), ".", f.decimal, 1)
}

// milliseconds writes a duration.
func (f format) milliseconds(d time.Duration) string {
	return f.tenths(float64(d)/float64(time.Millisecond)) + " ms"
}

// size writes a number of octets.
func (f format) size(n int64) string {
	switch {
	case n >= 10<<20:
		return f.number(n>>20) + " MiB"
	case n >= 10<<10:
		return f.number(n>>10) + " KiB"
	}
	return f.number(n) + " B"
}
