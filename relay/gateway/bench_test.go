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

// TestAllocations bounds what is allocated to decide on a message that passes, and to look
// at its recipient: there are many such messages, and each allocation is garbage to collect.
func TestAllocations(t *testing.T) {
	w := newWorld(t)
	env := w.envelope("out", "alice@own.example", "x@plain.example")
	msg := parseMessage(t, "From: alice@own.example\nTo: x@plain.example\nSubject: Minutes of the meeting\n"+
		"Received: from a by b\nReceived: from b by c\n\ntext\n")
	for name, tc := range map[string]struct {
		most float64
		do   func() error
	}{
		"message":   {mostOfMessage, func() error { _, err := w.gateway.outcome(t.Context(), env, msg); return err }},
		"recipient": {mostOfRecipient, func() error { return w.gateway.Recipient(t.Context(), env, env.Recipients[0]) }},
	} {
		got := testing.AllocsPerRun(50, func() {
			if err := tc.do(); err != nil {
				t.Fatal(err)
			}
		})
		if got > tc.most {
			t.Errorf("%s: %v allocations, over %v", name, got, tc.most)
		}
	}
}

// The bounds of TestAllocations: what it takes, and a few more.
const mostOfMessage, mostOfRecipient = 90, 8

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
