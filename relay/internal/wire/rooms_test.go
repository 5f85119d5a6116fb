package wire

import (
	"bytes"
	"testing"
)

// TestMessageSharesNothing: what a Collector gave away stays as it is, whatever comes
// into the memory in which it was gathered.
func TestMessageSharesNothing(t *testing.T) {
	for _, size := range []int{1, 5000, smallRoom, smallRoom + 1, roomSize - 1, roomSize, roomSize + 1, 3 * roomSize} {
		want := bytes.Repeat([]byte("m"), size)
		c := NewCollector(4*roomSize, nil)
		for part := want; len(part) > 0; {
			n := min(len(part), 1000)
			_, _ = c.Write(part[:n])
			part = part[n:]
		}
		small, room := c.small, c.room
		got := c.Bytes()
		if small != nil {
			poison(small[:])
		}
		if room != nil {
			poison(room[:])
		}
		c.Release()
		for range 20 {
			other := NewCollector(4*roomSize, nil)
			_, _ = other.Write(bytes.Repeat([]byte("X"), roomSize))
			defer other.Release()
		}
		if !bytes.Equal(got, want) {
			t.Errorf("a message of %d octets changed after it was taken", size)
		}
	}
}

func poison(p []byte) {
	for i := range p {
		p[i] = 'P'
	}
}

// TestMessageHasItsSize: nothing of the memory in which a message was gathered stays
// with it.
func TestMessageHasItsSize(t *testing.T) {
	c := NewCollector(4*roomSize, nil)
	for range 75 {
		_, _ = c.Write(make([]byte, 1000))
	}
	if got := c.Bytes(); len(got) != 75_000 || cap(got) > 82_000 {
		t.Errorf("%d octets in a slice of %d", len(got), cap(got))
	}
	_, _ = c.Write([]byte("more"))
	if got := c.Bytes(); !bytes.HasSuffix(got, []byte("\x00more")) || len(got) != 75_004 {
		t.Errorf("%d octets after more was written", len(got))
	}
}
