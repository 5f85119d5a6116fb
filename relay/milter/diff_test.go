package milter

import (
	"encoding/binary"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/smimerelay/smimerelay/smime/message"
)

// Whatever two headers are, the edits make one of the other.
func TestDiff(t *testing.T) {
	field := rapid.Custom(func(t *rapid.T) string {
		name := rapid.SampledFrom([]string{"A", "a", "B", "Subject", "X-Y"}).Draw(t, "name")
		value := rapid.SampledFrom([]string{"", " ", "1", " 1", "\t2", " x\r\n y", " x\r\n\ty\r\n  z "}).Draw(t, "value")
		return name + ":" + value + "\r\n"
	})
	header := rapid.SliceOfN(field, 1, 12)
	body := rapid.SampledFrom([]string{"", "x\r\n", "\r\n\r\n", "other\r\n"})
	rapid.Check(t, func(rt *rapid.T) {
		exact := rapid.Bool().Draw(rt, "exact")
		old := parse(rt, header.Draw(rt, "old"), body.Draw(rt, "old body"))
		now := parse(rt, header.Draw(rt, "now"), body.Draw(rt, "now body"))
		edits, err := diff(old, now, exact)
		if err != nil {
			rt.Fatal(err)
		}
		m := &mta{t: t, header: [][2]string{{"Received", " own"}}, body: string(old.Body())}
		if exact {
			m.steps = 1 << 20
		}
		for _, f := range old.Fields() {
			name, value, _ := strings.Cut(strings.TrimSuffix(string(f.Raw), "\r\n"), ":")
			m.header = append(m.header, [2]string{name, strings.ReplaceAll(value, "\r\n", "\n")})
		}
		for _, e := range edits {
			m.apply(e)
		}
		got, want := m.text(), string(now.Bytes())
		if !exact {
			// The MTA puts a space after the colon of what it is given.
			got, want = unspaced(got), unspaced(want)
		}
		if got != want {
			rt.Fatalf("from %q\nmade %q\nnot  %q\nby %v", old.Bytes(), got, want, edits)
		}
	})
}

func parse(t *rapid.T, fields []string, body string) *message.Message {
	m, err := message.Parse([]byte(strings.Join(fields, "") + "\r\n" + body))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// unspaced takes a space after the colon out of each field.
func unspaced(text string) string {
	header, body, _ := strings.Cut(text, "\r\n\r\n")
	return strings.ReplaceAll(header, ": ", ":") + "\r\n\r\n" + body
}

// apply does an edit as an MTA does.
func (m *mta) apply(p packet) {
	switch p.code {
	case replaceBody:
		if m.newBody == nil {
			m.newBody = &strings.Builder{}
		}
		m.newBody.Write(p.data)
	case insertHeader, changeHeader:
		f := strings.Split(string(p.data[4:]), "\x00")
		index := int(binary.BigEndian.Uint32(p.data))
		if p.code == insertHeader {
			m.insert(index, f[0], f[1])
		} else {
			m.change(index, f[0], f[1])
		}
	}
}

// Thousands of fields take no quadratic amount of anything.
func TestDiffOfHugeHeaders(t *testing.T) {
	huge := func(name string) *message.Message {
		m, err := message.Parse([]byte(strings.Repeat(name+": x\r\n", 4_000) + "\r\n"))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	edits, err := diff(huge("A"), huge("B"), true)
	if err != nil || len(edits) != 8_000 {
		t.Errorf("%d edits (%v)", len(edits), err)
	}
}
