package pkix

import "testing"

func TestInteger(t *testing.T) {
	for b, want := range map[string]int64{
		"": 0, "\x00": 0, "\x7f": 127, "\x00\x80": 128, "\x80": -128, "\xff": -1, "\xff\x7f": -129, "\x01\x00": 256,
	} {
		if got := Integer([]byte(b)); got.Int64() != want || !got.IsInt64() {
			t.Errorf("% x is %d, not %d", b, got, want)
		}
	}
}
