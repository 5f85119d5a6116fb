package main

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/big"
	"strings"
	"testing"
)

// needles are what must not be found, with what each is.
type needles map[string]string

// window is how many octets of a secret are looked for at once. A leak may be of
// a part only: the beginning, the middle and the end are looked for.
const window = 18

// key adds the secret parts of a private key, in all forms in which people and
// programs write them.
func (n needles) key(t *testing.T, whose string, key crypto.PrivateKey) {
	t.Helper()
	switch k := key.(type) {
	case *rsa.PrivateKey:
		for i, p := range append([]*big.Int{k.D, k.Precomputed.Dp, k.Precomputed.Dq, k.Precomputed.Qinv}, k.Primes...) {
			n.number(fmt.Sprintf("%s: number %d of the RSA key", whose, i), p)
		}
	case *ecdsa.PrivateKey:
		scalar, err := k.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		n.number(whose+": EC scalar", new(big.Int).SetBytes(scalar))
	case ed25519.PrivateKey:
		n.octets(whose+": Ed25519 seed", k.Seed())
	default:
		t.Fatalf("%s: %T", whose, key)
	}
}

func (n needles) number(what string, p *big.Int) {
	n.octets(what, p.Bytes())
	n[p.String()[:40]] = what + ", decimal"
}

// octets adds windows of a secret in each encoding.
func (n needles) octets(what string, secret []byte) {
	size := min(window, len(secret))
	for _, at := range []int{0, (len(secret) - size) / 2, len(secret) - size} {
		w := secret[at : at+size]
		n[string(w)] = what
		n[hex.EncodeToString(w)] = what + ", hex"
		n[strings.ToUpper(hex.EncodeToString(w))] = what + ", hex"
		n[separated(w, "%02x", ":")] = what + ", hex"
		n[separated(w, "%02X", ":")] = what + ", hex"
		n[separated(w, "%d", " ")] = what + ", octets"
		n[separated(w, "%d", ",")] = what + ", octets"
		n[separated(w, "0x%x", ",")] = what + ", octets"
		for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			for skip := range 3 {
				// Where the window begins among the groups of three is not known.
				n[e.EncodeToString(w[skip:size-(size-skip)%3])] = what + ", base64"
			}
		}
	}
}

func separated(b []byte, format, separator string) string {
	words := make([]string, len(b))
	for i, c := range b {
		words[i] = fmt.Sprintf(format, c)
	}
	return strings.Join(words, separator)
}

// word adds a password, also encoded.
func (n needles) word(what, secret string) {
	n[secret] = what
	n[hex.EncodeToString([]byte(secret))] = what + ", hex"
	n[base64.RawStdEncoding.EncodeToString([]byte(secret)[:len(secret)/3*3])] = what + ", base64"
}

var blanks = strings.NewReplacer(" ", "", "\n", "", "\r", "", "\t", "", `\n`, "")

// in fails the test where text has one of the needles in it, as it is or broken
// into lines.
func (n needles) in(t *testing.T, where string, text []byte) {
	t.Helper()
	joined := []byte(blanks.Replace(string(text)))
	for needle, what := range n {
		if bytes.Contains(text, []byte(needle)) || bytes.Contains(joined, []byte(blanks.Replace(needle))) {
			t.Errorf("%s: has %s in it", where, what)
		}
	}
}

// TestNeedles keeps the search able to find.
func TestNeedles(t *testing.T) {
	secret := []byte("0123456789abcdefghijklmnopqrstuvwxyz")
	n := needles{}
	n.octets("secret", secret)
	found := func(text string) bool {
		for needle := range n {
			if strings.Contains(text, needle) || strings.Contains(blanks.Replace(text), blanks.Replace(needle)) {
				return true
			}
		}
		return false
	}
	for _, text := range []string{
		string(secret),
		"x" + base64.StdEncoding.EncodeToString(append([]byte("PEM"), secret...)),
		base64.StdEncoding.EncodeToString(append([]byte("a"), secret...)),
		base64.URLEncoding.EncodeToString(append([]byte("ab"), secret...)),
		fmt.Sprintf("%x", secret), fmt.Sprintf("%X", secret), fmt.Sprint(secret), fmt.Sprintf("%#v", secret),
		separated(secret, "%02x", ":"), strings.ReplaceAll(fmt.Sprintf("%x", secret), "3", "3\n"),
	} {
		if !found(text) {
			t.Errorf("not found in %q", text)
		}
	}
	if found(strings.Repeat("nothing of it ", 100)) {
		t.Error("found where it is not")
	}
}
