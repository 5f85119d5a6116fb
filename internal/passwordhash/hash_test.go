package passwordhash

import (
	"strings"
	"testing"
)

func TestHashes(t *testing.T) {
	// Written by argon2(1): echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1
	const other = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	h, err := Parse(other)
	if err != nil || !h.Is("password") || h.Is("passwore") || h.String() != other {
		t.Errorf("%v, %v", h, err)
	}
	for _, bad := range []string{
		"", "x", "$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
		strings.Replace(other, "v=19", "v=16", 1), strings.Replace(other, "t=2", "t=0", 1), strings.Replace(other, "p=1", "p=0", 1),
		strings.Replace(other, "m=65536", "m=1", 1), strings.Replace(other, "m=65536", "m=1048576", 1), strings.Replace(other, "t=2", "t=1000", 1),
		strings.Replace(other, "p=1", "p=1x", 1), strings.Replace(other, "c29tZXNhbHQ", "YQ", 1), other + "!", other[:60],
	} {
		if _, err := Parse(bad); err == nil {
			t.Errorf("%q is a hash", bad)
		}
	}
}

func TestNew(t *testing.T) {
	h := New("secret")
	again, err := Parse(h.String())
	if err != nil || !again.Is("secret") || again.Is("Secret") {
		t.Errorf("%v, %v", again, err)
	}
}
