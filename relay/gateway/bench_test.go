package gateway

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
)

// benchmarkSend passes a message of size octets through the whole pipeline.
func benchmarkSend(b *testing.B, size int, to ...string) {
	w := newWorldFor(b)
	env := w.envelope("out", "alice@own.example", to...)
	line := bytes.Repeat([]byte("0123456789abcdef "), 4)
	body := bytes.Repeat(append(line, "\r\n"...), size/len(line)+1)
	head := fmt.Sprintf("From: alice@own.example\r\nTo: %s\r\nSubject: x\r\n\r\n", to[0])
	msg := mustMessage(b, append([]byte(head), body...))
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.gateway.outcome(context.Background(), env, msg); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPlain5kB(b *testing.B)       { benchmarkSend(b, 5<<10, "x@plain.example") }
func BenchmarkSign5kB(b *testing.B)        { benchmarkSend(b, 5<<10, "x@sign.example") }
func BenchmarkSignEncrypt5kB(b *testing.B) { benchmarkSend(b, 5<<10, bob) }
func BenchmarkSignEncrypt5MB(b *testing.B) { benchmarkSend(b, 5<<20, bob) }
func BenchmarkSign5MB(b *testing.B)        { benchmarkSend(b, 5<<20, "x@sign.example") }

// BenchmarkVerify5kB verifies a signed message that comes from outside, its chain known.
func BenchmarkVerify5kB(b *testing.B) {
	w := newWorldFor(b)
	msg := w.bobsLetter("X-Text: " + strings.Repeat("0123456789abcdef ", 30) + "\n")
	env := w.envelope("in", "bob@enc.example", "alice@own.example")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.gateway.outcome(context.Background(), env, msg); err != nil {
			b.Fatal(err)
		}
	}
}
