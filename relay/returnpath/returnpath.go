// Package returnpath makes the envelope senders under which mail leaves that was
// encrypted when it came in. They are addresses of the gateway itself: what a
// server behind it reports about such a message comes back to the gateway, which
// passes on no more than the sender may know. An address names the sender it
// stands for, holds for a limited time, and cannot be made without the key; a
// value in the header of the message, sealed with the same key, says the rest.
//
// Questions to recipients leave under addresses of another form, which name the question: see
// Path.Question.
//
// Nothing is stored here: every node that has the key understands every address.
package returnpath

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/smime/address"
)

// KeySize is the length of the key in octets.
const KeySize = 32

// lifetime is how long an address is accepted: a server may try for five days, and
// the report on it may wait as long.
const lifetime = 21 * 24 * time.Hour

var (
	// errForged is for an address that this key did not make.
	errForged = errors.New("not an address created by the gateway")
	// errExpired is for one that is no longer accepted.
	errExpired = errors.New("the address has expired")

	errSealed = errors.New("not authenticated with this key")
)

// Path makes and reads the addresses of one domain. It may be used by many
// goroutines at once.
type Path struct {
	domain string
	mac    []byte
	aead   cipher.AEAD
}

// New returns the Path for a key of KeySize octets. domain must be routed to the
// gateway's listeners.
func New(key []byte, domain string) (*Path, error) {
	if len(key) != KeySize {
		return nil, fmt.Errorf("return path: the key has %d octets, not %d", len(key), KeySize)
	}
	a, err := address.Parse(prefix + "@" + domain)
	if err != nil {
		return nil, fmt.Errorf("return path: %w", err)
	}
	mac, err := hkdf.Key(sha256.New, key, nil, "smimerelay return path address", KeySize)
	if err != nil {
		return nil, err
	}
	sealing, err := hkdf.Key(sha256.New, key, nil, "smimerelay return path origin", KeySize)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(sealing)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block) // the nonce stands before the ciphertext
	if err != nil {
		return nil, err
	}
	return &Path{domain: a.Domain(), mac: mac, aead: aead}, nil
}

// The local part is prefix, the form, and then fields between "=": MAC, day, and
// the sender, either in the clear (domain, then local part: it may hold "=" itself)
// or, where that would need quotes, more than US-ASCII or more than the 64 octets
// that RFC 5321 section 4.5.3.1.1 guarantees, as a digest.
const (
	prefix   = "smr"
	named    = "0"
	digested = "1"

	maxLocal   = 64
	macChars   = 13 // 65 bits: each guess is a RCPT command
	dayChars   = 3
	digestSize = 16
)

const digits = "abcdefghijklmnopqrstuvwxyz234567"

// base32 of RFC 4648 section 6 in lower case: some servers change the case of local
// parts.
var text = base32.NewEncoding(digits).WithPadding(base32.NoPadding)

// Address returns the address that stands for a sender.
func (p *Path) Address(sender address.Address, now time.Time) (address.Address, error) {
	rest := sender.Domain() + "=" + sender.Local()
	form := named
	if !plain(rest) || len(prefix)+1+1+macChars+1+dayChars+1+len(rest) > maxLocal {
		form, rest = digested, digest(sender)
	}
	signed := stamp(day(now)) + "=" + rest
	return address.Parse(prefix + form + "=" + p.sum(form, signed) + "=" + signed + "@" + p.domain)
}

// Claims reports whether an address has the form of those that Address makes. It
// may be forged.
func (p *Path) Claims(a address.Address) bool {
	form, _, ok := strings.Cut(a.Local(), "=")
	form = strings.ToLower(form)
	return ok && a.Domain() == p.domain && (form == prefix+named || form == prefix+digested)
}

// Stands is what an address stands for.
type Stands struct {
	// Sender is Null where the address has a digest only.
	Sender address.Address
	digest string
}

// For reports whether the address was made for a sender.
func (s Stands) For(sender address.Address) bool {
	if s.digest != "" {
		return hmac.Equal([]byte(s.digest), []byte(digest(sender)))
	}
	return s.Sender.Equal(sender, address.IgnoreCase)
}

// Read returns what an address stands for. It fails for an address
// that the key did not make, and for one that is no longer accepted.
func (p *Path) Read(a address.Address, now time.Time) (Stands, error) {
	if !p.Claims(a) {
		return Stands{}, errForged
	}
	parts := strings.SplitN(a.Local(), "=", 4)
	if len(parts) != 4 || len(parts[2]) != dayChars {
		return Stands{}, errForged
	}
	form := strings.ToLower(parts[0])[len(prefix):]
	if !hmac.Equal([]byte(strings.ToLower(parts[1])), []byte(p.sum(form, parts[2]+"="+parts[3]))) {
		return Stands{}, errForged
	}
	if !fresh(parts[2], now) {
		return Stands{}, errExpired
	}
	if form == digested {
		return Stands{digest: strings.ToLower(parts[3])}, nil
	}
	domain, local, _ := strings.Cut(parts[3], "=")
	sender, err := address.Parse(local + "@" + domain)
	if err != nil {
		return Stands{}, errForged
	}
	return Stands{Sender: sender}, nil
}

// sum is the MAC, the same whatever the case.
func (p *Path) sum(form, signed string) string {
	h := hmac.New(sha256.New, p.mac)
	h.Write([]byte(form + "=" + strings.ToLower(signed)))
	return text.EncodeToString(h.Sum(nil))[:macChars]
}

// digest is what stands for a sender, the same whatever the case.
func digest(a address.Address) string {
	sum := sha256.Sum256([]byte(a.Key(address.IgnoreCase)))
	return text.EncodeToString(sum[:digestSize])
}

// plain reports whether s has only what needs no quotes in a local part and means
// nothing to a router of mail.
func plain(s string) bool {
	if strings.HasSuffix(s, ".") || strings.Contains(s, "..") || strings.Contains(s, "=.") {
		return false
	}
	return !strings.ContainsFunc(s, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("._+=-~", c)
	})
}

// days is after how many days the stamps repeat.
const days = 1 << (5 * dayChars)

func day(t time.Time) int { return int(t.Unix()/(24*60*60)) % days }

// stamp writes a day in dayChars letters.
func stamp(day int) string {
	return string([]byte{digits[day>>10&31], digits[day>>5&31], digits[day&31]})
}

// fresh reports whether a stamp is of one of the days before now, or of the next:
// the clocks of two nodes differ.
func fresh(written string, now time.Time) bool {
	const limit = int(lifetime / (24 * time.Hour))
	for age := -1; age <= limit; age++ {
		if strings.EqualFold(written, stamp((day(now)-age+days)%days)) {
			return true
		}
	}
	return false
}

// Seal encrypts a value for a header field: words of letters and digits.
func (p *Path) Seal(plain []byte) string {
	sealed := base64.StdEncoding.EncodeToString(p.aead.Seal(nil, nil, plain, nil)) //nolint:gosec // G407: it makes the nonce itself
	var words []string
	const word = 64
	for len(sealed) > word {
		words = append(words, sealed[:word])
		sealed = sealed[word:]
	}
	return strings.Join(append(words, sealed), " ")
}

// Open decrypts what Seal made, whatever white space came into it.
func (p *Path) Open(value string) ([]byte, error) {
	sealed, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(value), ""))
	if err != nil {
		return nil, errSealed
	}
	plain, err := p.aead.Open(nil, nil, sealed, nil)
	if err != nil {
		return nil, errSealed
	}
	return plain, nil
}
