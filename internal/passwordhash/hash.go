// Package passwordhash hashes passwords with argon2id (RFC 9106).
package passwordhash

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// params are those of argon2id (RFC 9106).
type params struct {
	memory  uint32 // KiB
	passes  uint32
	threads uint8
}

// current are those of new hashes, as the OWASP Password Storage Cheat Sheet has them for
// servers that check many. A hash with more than most would let one line of a file
// stop the gateway.
var (
	current = params{memory: 19 << 10, passes: 2, threads: 1}
	most    = params{memory: 256 << 10, passes: 16, threads: 16}
)

const (
	saltSize = 16
	keySize  = 32
)

// Max is the most octets of a password that is hashed.
const Max = 1024

// Hash is a password that was hashed.
type Hash struct {
	params
	salt, key []byte
}

// New hashes a password with a new salt.
func New(password string) Hash {
	salt := make([]byte, saltSize)
	_, _ = rand.Read(salt) // it does not fail
	h := Hash{params: current, salt: salt}
	h.key = h.derive(password, keySize)
	return h
}

func (h Hash) derive(password string, size int) []byte {
	return argon2.IDKey([]byte(password), h.salt, h.passes, h.memory, h.threads, uint32(size))
}

// Is reports whether password is the one that was hashed.
func (h Hash) Is(password string) bool {
	return subtle.ConstantTimeCompare(h.derive(password, len(h.key)), h.key) == 1
}

// String returns the form that other programs read, too: $argon2id$v=19$m=,t=,p=$salt$key.
func (h Hash) String() string {
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.memory, h.passes, h.threads, b64(h.salt), b64(h.key))
}

var errHash = errors.New("not a password hash of argon2id; set the password again")

// Parse reads the form of String.
func Parse(text string) (Hash, error) {
	parts := strings.Split(text, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return Hash{}, errHash
	}
	var h Hash
	if _, err := fmt.Sscanf(parts[3]+"$", "m=%d,t=%d,p=%d$", &h.memory, &h.passes, &h.threads); err != nil {
		return Hash{}, errHash
	}
	var badSalt, badKey error
	h.salt, badSalt = base64.RawStdEncoding.DecodeString(parts[4])
	h.key, badKey = base64.RawStdEncoding.DecodeString(parts[5])
	switch {
	case badSalt != nil || badKey != nil || len(h.salt) < 8 || len(h.key) < 16 || len(h.salt) > 64 || len(h.key) > 64:
		return Hash{}, errHash
	case h.memory < 8*uint32(h.threads) || h.passes == 0 || h.threads == 0:
		return Hash{}, errHash
	case h.memory > most.memory || h.passes > most.passes || h.threads > most.threads:
		return Hash{}, fmt.Errorf("password hash takes more than %d MiB, %d passes or %d threads", most.memory>>10, most.passes, most.threads)
	}
	return h, nil
}
