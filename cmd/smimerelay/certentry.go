package main

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/describe"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/internal/pkix"
)

// errNotInStore is a fingerprint that leads nowhere.
var errNotInStore = errors.New("no such certificate in the store; see smimerelay cert list")

// pick returns the one entry whose fingerprint begins with what the user wrote.
func pick(ctx context.Context, s *store.Store, text string) (store.Entry, error) {
	found, err := s.Find(ctx, store.Query{Prefix: text, Limit: 2, Chain: true})
	switch {
	case !isFingerprint(text):
		return store.Entry{}, unusable(fmt.Errorf("%q is not a SHA-256 fingerprint or the start of one; use the hexadecimal digits that smimerelay cert list prints", text))
	case err != nil:
		return store.Entry{}, err
	case len(found) == 0:
		return store.Entry{}, negative(fmt.Errorf("%s: %w", text, errNotInStore))
	case len(found) > 1:
		return store.Entry{}, unusable(fmt.Errorf("%s matches several fingerprints, such as %x and %x; use more digits",
			text, found[0].Fingerprint, found[1].Fingerprint))
	}
	return found[0], nil
}

// isFingerprint reports whether text can be the beginning of a fingerprint.
func isFingerprint(text string) bool {
	digits := strings.NewReplacer(":", "", " ", "").Replace(text)
	_, err := hex.DecodeString(digits + strings.Repeat("0", len(digits)%2))
	return err == nil && digits != "" && len(digits) <= 2*sha256.Size
}

// name is how a certificate is called in one line: its beginning and its subject
// or addresses.
func name(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	who := pkix.SubjectString(c)
	if list := certs.Addresses(c); len(list) > 0 {
		who = strings.Join(describe.Texts(list), ", ")
	}
	return fmt.Sprintf("%x (%s)", sum[:8], who)
}

// span is a duration that may be given in days.
type span time.Duration

// UnmarshalText reads "12h" and "30d".
func (s *span) UnmarshalText(text []byte) error {
	d, err := config.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf(`%w; write a number with a unit, such as "12h" or "30d"`, err)
	}
	*s = span(d)
	return nil
}

// wholeFingerprint reads all 64 digits.
func wholeFingerprint(text string) ([]byte, error) {
	sum, err := hex.DecodeString(strings.NewReplacer(":", "", " ", "").Replace(text))
	if err != nil || len(sum) != sha256.Size {
		return nil, fmt.Errorf("%q is not a SHA-256 fingerprint of 64 digits", text)
	}
	return sum, nil
}
