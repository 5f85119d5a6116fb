package directory

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
)

// tlv encodes an element with a definite length.
func tlv(tag byte, contents string) string {
	n := len(contents)
	if n < 0x80 {
		return string([]byte{tag, byte(n)}) + contents
	}
	return string([]byte{tag, 0x84, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}) + contents
}

// bytesConn is a connection on which the given bytes arrive.
type bytesConn struct {
	net.Conn
	io.Reader
}

func (c bytesConn) Read(p []byte) (int, error) { return c.Reader.Read(p) }

func guardOver(s string) *guardedConn {
	return newGuardedConn(bytesConn{Reader: strings.NewReader(s)}, 0)
}

func TestGuardHandsUpWholeMessages(t *testing.T) {
	t.Parallel()
	small := tlv(0x30, "\x02\x01\x01"+tlv(0x64, tlv(0x04, "")+tlv(0x30, "")))
	large := tlv(0x30, tlv(0x04, strings.Repeat("x", 300<<10)))
	for _, s := range []string{"", small, small + small, large, large + small} {
		if got, err := io.ReadAll(guardOver(s)); err != nil || string(got) != s {
			t.Errorf("%d octets: got %d, %v", len(s), len(got), err)
		}
	}
}

func TestGuardRefuses(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]string{
		"not a sequence":       "\x31\x00",
		"indefinite length":    "\x30\x80\x04\x00\x00\x00",
		"2 GiB":                "\x30\x84\x7f\xff\xff\xff",
		"16 EiB":               "\x30\x88\xff\xff\xff\xff\xff\xff\xff\xff",
		"nine length octets":   "\x30\x89\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00",
		"2 GiB inside":         tlv(0x30, "\x04\x84\x7f\xff\xff\xff"),
		"indefinite inside":    tlv(0x30, "\x30\x80\x00\x00"),
		"inner over outer end": tlv(0x30, tlv(0x30, "\x04\x05x")+"yyyyyy"),
		"cut element":          tlv(0x30, "\x04"),
		"high tag":             tlv(0x30, "\x1f\x01\x00"),
		"many elements":        tlv(0x30, strings.Repeat("\x05\x00", maxElements+1)),
		"deep":                 nested(maxDepth + 1),
		"cut message":          "\x30\x05\x02",
		"cut length":           "\x30\x82\x01",
	} {
		if got, err := io.ReadAll(guardOver(s)); err == nil || len(got) > 0 {
			t.Errorf("%s: handed up %d octets, %v", name, len(got), err)
		}
	}
}

func nested(depth int) string {
	s := ""
	for range depth {
		s = tlv(0x30, s)
	}
	return s
}

func TestGuardLimitsOneOperation(t *testing.T) {
	t.Parallel()
	message := tlv(0x30, tlv(0x04, strings.Repeat("x", maxMessage-100)))
	const messages = maxOperation/maxMessage + 1
	g := guardOver(strings.Repeat(message, messages))
	got, err := io.ReadAll(g)
	if err == nil || len(got) > maxOperation {
		t.Errorf("handed up %d octets, %v", len(got), err)
	}
	g = guardOver(strings.Repeat(message, messages))
	for range messages {
		g.allow()
		if _, err := io.ReadFull(g, make([]byte, len(message))); err != nil {
			t.Error(err)
		}
	}
}

func FuzzGuard(f *testing.F) {
	f.Add([]byte(nested(5)))
	f.Add([]byte(tlv(0x30, "\x02\x01\x01"+tlv(0x64, tlv(0x04, "dn")))))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, _ := io.ReadAll(guardOver(string(data)))
		if !bytes.HasPrefix(data, got) {
			t.Errorf("handed up what did not come")
		}
	})
}
