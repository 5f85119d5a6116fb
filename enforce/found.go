package enforce

import (
	"encoding/hex"
	"errors"
	"slices"
	"strings"

	"github.com/smimerelay/smimerelay/smime/address"
)

// Found is what verification and decryption found in an inbound message.
type Found struct {
	// Result is the word of RFC 8601; Reason is a word of docs/reasons.md or
	// docs/message-reasons.md, "" where the result needs none.
	Result, Reason string
	// Signed says that there is a signature, whatever it is worth.
	Signed bool
	// Encrypted says that the message was encrypted when it came in.
	Encrypted bool
	// Chain is the state of the signer's chain: "trusted", "untrusted" or
	// "unchecked"; "" without a signer.
	Chain string
	// Signers are those whose signature passed.
	Signers []FoundSigner
	// Algorithms are the names of digests, signatures and ciphers used.
	Algorithms []string
	// Secret says that all but Encrypted and the cipher among the algorithms may depend
	// on what was decrypted: no answer that reaches the client may.
	Secret bool
	// Cipher is the content cipher of the outermost encrypted layer; "" without one.
	Cipher string

	// outer says that the facts are reduced to those known before decryption, unopened
	// that nothing was looked for yet, unchecked that a later check may find something else.
	outer, unopened, unchecked bool
}

// FoundSigner is a signer whose signature passed.
type FoundSigner struct {
	Addresses   []address.Address // in the certificate
	Fingerprint Fingerprint
}

// beforeDecryption is what of f was known before anything was decrypted.
func (f Found) beforeDecryption() Found {
	if !f.Secret {
		return f
	}
	return Found{Encrypted: f.Encrypted, Secret: true, Cipher: f.Cipher, outer: true}
}

// about judges a condition on what may have been found by decryption, or by a check.
func (f *Found) about(holds bool) answer {
	if f.unchecked {
		return maybe
	}
	return f.of(holds)
}

// of judges a condition on what may have been found by decryption, and which a check of
// what was found does not undo.
func (f *Found) of(holds bool) answer {
	if f.outer || f.unopened {
		return maybe
	}
	return is(holds).orMaybe(f.unchecked)
}

// The words that conditions on results may have.
var (
	resultWords = []string{"none", "pass", "fail", "policy", "neutral", "temperror", "permerror"}
	chainWords  = []string{"trusted", "untrusted", "unchecked"}
)

// wordTest returns a compiler of conditions on a word.
func wordTest(words []string, get func(*Found) string) func(string) (test, error) {
	return func(s string) (test, error) {
		if !slices.Contains(words, s) {
			return nil, errors.New("is not known; write one of " + strings.Join(words, ", "))
		}
		return func(v *view) answer {
			f := &v.facts.Found
			return f.about(get(f) == s)
		}, nil
	}
}

// reasonTest compares reason words; "*" is every reason, but not the lack of one.
func reasonTest(s string) (test, error) {
	return func(v *view) answer {
		f := &v.facts.Found
		return f.about(f.Reason != "" && Wildcard(s, f.Reason))
	}, nil
}

// fingerprintPrefix marks a pattern that names a certificate.
const fingerprintPrefix = "sha256:"

// signerTest reads a pattern of an address in the signer's certificate, or
// "sha256:" with the fingerprint of that.
func signerTest(s string) (test, error) {
	match, err := signerPattern(s)
	if err != nil {
		return nil, err
	}
	return func(v *view) answer {
		f := &v.facts.Found
		return f.about(slices.ContainsFunc(f.Signers, match))
	}, nil
}

func signerPattern(s string) (func(FoundSigner) bool, error) {
	if digits, ok := strings.CutPrefix(s, fingerprintPrefix); ok {
		sum, err := hex.DecodeString(strings.ReplaceAll(digits, ":", ""))
		if err != nil || len(sum) != len(Fingerprint{}) {
			return nil, errors.New("is not a SHA-256 fingerprint of 64 hexadecimal digits; openssl x509 -fingerprint -sha256 prints it")
		}
		return func(f FoundSigner) bool { return f.Fingerprint == Fingerprint(sum) }, nil
	}
	p, err := CompilePatterns([]string{s})
	if err != nil {
		return nil, errors.New(`neither an address, a domain, ".domain", a glob nor "sha256:" with a fingerprint; write one of them`)
	}
	return func(f FoundSigner) bool { return slices.ContainsFunc(f.Addresses, p.Match) }, nil
}

// algorithmTest compares the name of an algorithm with a glob. The cipher of the
// outermost layer is known before decryption.
func algorithmTest(s string) (test, error) {
	s = strings.ToLower(s)
	return func(v *view) answer {
		f := &v.facts.Found
		if f.Cipher != "" && Wildcard(s, f.Cipher) {
			return yes
		}
		return f.of(slices.ContainsFunc(f.Algorithms, func(name string) bool { return Wildcard(s, name) }))
	}, nil
}
