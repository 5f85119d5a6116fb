package peer

import (
	"os"
	"testing"
)

// NewerOpenSSL is the openssl of a release that has ML-DSA and ML-KEM in CMS, which is 3.6
// and is not in Debian 12.
type NewerOpenSSL struct{ program string }

// FindNewerOpenSSL returns the program that the variable OPENSSL36 names. Where it names
// none there is none: make post-quantum sets it.
func FindNewerOpenSSL() (o NewerOpenSSL, found bool) {
	o.program = os.Getenv("OPENSSL36")
	return o, o.program != ""
}

// Run runs it with stdin, and returns what it printed; without an error it ended well.
func (o NewerOpenSSL) Run(tb testing.TB, stdin []byte, args ...string) []byte {
	tb.Helper()
	out, err := run(stdin, []string{"OPENSSL_CONF=/dev/null"}, o.program, args...)
	if err != nil {
		tb.Fatal(err)
	}
	return out
}
