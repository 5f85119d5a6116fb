package returnpath

import (
	"crypto/hmac"
	"crypto/rand"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/smime/address"
)

// A question to a recipient, whose failure a server may report days later, leaves under an
// address of a form of its own. Its fields are a MAC, the last day on which it counts, and the
// number of the question: the queue knows who was asked. Nothing of the message that waits, and
// no recipient, can be read from it.
const (
	asks        = "2"
	numberChars = 16 // 80 bits
)

// NewNumber returns a number for a question that no other has: numberChars letters and digits.
func NewNumber() string { return strings.ToLower(rand.Text()[:numberChars]) }

// Question returns the address under which the question of a number leaves. It counts to the end
// of the day of until.
func (p *Path) Question(number string, until time.Time) (address.Address, error) {
	signed := stamp(day(until)) + "=" + number
	return address.Parse(prefix + asks + "=" + p.sum(asks, signed) + "=" + signed + "@" + p.domain)
}

// ReadQuestion returns the number of the question that left under an address, in the form of
// NewNumber. ok is false for every other address, one that no longer counts among them.
func (p *Path) ReadQuestion(a address.Address, now time.Time) (number string, ok bool) {
	parts := strings.Split(strings.ToLower(a.Local()), "=")
	if a.Domain() != p.domain || len(parts) != 4 || parts[0] != prefix+asks {
		return "", false
	}
	mac, last, number := parts[1], parts[2], parts[3]
	if !hmac.Equal([]byte(mac), []byte(p.sum(asks, last+"="+number))) {
		return "", false
	}
	// The stamps repeat: what is not ahead of now is behind it. Clocks of nodes differ.
	ahead := (unstamp(last) - day(now.Add(-clockSkew)) + days) % days
	return number, ahead < days/2
}

// clockSkew is how far the clock of the node that made an address may be behind.
const clockSkew = time.Hour

// unstamp reads what stamp wrote.
func unstamp(written string) (day int) {
	for _, c := range []byte(written) {
		day = day<<5 | strings.IndexByte(digits, c)
	}
	return day
}
