package cms

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// looksLikeText looks at few octets, and comes to what each octet says.
func TestLooksLikeText(t *testing.T) {
	slow := func(n int, text []byte) bool {
		ascii, other := 0, 0
		for _, c := range text {
			switch {
			case c >= ' ' && c < 0x7f || c == '\r' || c == '\n' || c == '\t' || c == 0:
				ascii++
				other++
			case c >= 0x80:
				ascii = 0
				other++
			default:
				ascii, other = 0, 0
			}
			if ascii >= n || other >= 8*n {
				return true
			}
		}
		return false
	}
	source := rand.New(rand.NewPCG(1, 2))
	kinds := []string{"a", "a\x00 \r\n\t", "\x80\xff", "a\x80", "\x01\x7f\x0b", "a\x80\x01"}
	positive := 0
	for range 20_000 {
		const n = 5
		var text []byte
		for range source.IntN(12) {
			kind := kinds[source.IntN(len(kinds))]
			for range source.IntN(3 * n) {
				text = append(text, kind[source.IntN(len(kind))])
			}
		}
		want := slow(n, text)
		if want {
			positive++
		}
		rest := text
		got := looksLikeText(n, func(yield func([]byte) bool) {
			for len(rest) > 0 {
				k := min(source.IntN(2*n), len(rest))
				if !yield(rest[:k]) {
					return
				}
				rest = rest[k:]
			}
		})
		if got != want {
			t.Fatalf("%q: %t", text, got)
		}
	}
	if positive < 1000 || positive > 19_000 {
		t.Errorf("%d of the texts are long enough", positive)
	}
	if !looksLikeText(3, one(slices.Repeat([]byte{0}, 3))) || looksLikeText(3, one([]byte("ab\x01ab"))) {
		t.Error("the length of a run")
	}
}

func BenchmarkLooksLikeText(b *testing.B) {
	text := make([]byte, 75_000)
	source := rand.NewChaCha8([32]byte{})
	_, _ = source.Read(text) // it does not fail
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		looksLikeText(textInBulk, one(text))
	}
}
