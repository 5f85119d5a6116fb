package printable

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"unicode/utf8"
)

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		"":                              "",
		`CN=Åsa Öst\, Dr., C=SE 日本`:     `CN=Åsa Öst\, Dr., C=SE 日本`,
		"x\nresult: pass":               `x\nresult: pass`,
		"\x1b[2K\rpass":                 `\x1b[2K\rpass`,
		"\u009b2Kpass":                  `\u009b2Kpass`,
		"moc.elpmaxe@\u202eecila":       `moc.elpmaxe@\u202eecila`,
		"a\u2066b\u2069\u200f":          `a\u2066b\u2069\u200f`,
		"a\u2028b\u2029c\x00d\x7f\xff!": `a\u2028b\u2029c\x00d\x7f\xff!`,
	} {
		if got := text(in); got != want {
			t.Errorf("Text(%q) = %s, want %s", in, got, want)
		}
	}
}

type word string

func TestArgs(t *testing.T) {
	args := Args([]any{"a\nb", word("c\rd"), errors.New("e\x1bf"), netip.MustParseAddr("192.0.2.1"), 7, nil})
	if got, want := fmt.Sprint(args...), `a\nb c\rd e\x1bf 192.0.2.1 7 <nil>`; fmt.Sprintf("%v %v %v %v %v %v", args...) != want {
		t.Errorf("Args: %s, want %s", got, want)
	}
}

func TestJSONStaysTheSameValue(t *testing.T) {
	const text = "a\x1b\u009b\u202e\u2069\x7f\nÅ\"\\"
	var b bytes.Buffer
	e := json.NewEncoder(JSON(&b))
	e.SetIndent("", "  ")
	if err := e.Encode(map[string]string{"text": text}); err != nil {
		t.Fatal(err)
	}
	for _, r := range b.String() {
		if r != '\n' && active(r) {
			t.Errorf("%q holds %U", b.String(), r)
		}
	}
	var back map[string]string
	if err := json.Unmarshal(b.Bytes(), &back); err != nil || back["text"] != text {
		t.Errorf("%q came back as %q, %v", text, back["text"], err)
	}
}

func FuzzText(f *testing.F) {
	f.Add("CN=Alice\nresult: pass\x1b[A\u202e\xff")
	f.Fuzz(func(t *testing.T, s string) {
		got := text(s)
		if !utf8.ValidString(got) || !clean(got) {
			t.Errorf("Text(%q) = %q", s, got)
		}
	})
}
