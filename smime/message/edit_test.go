package message

import (
	"strings"
	"testing"
)

func field(t *testing.T, name, value string) Field {
	t.Helper()
	f, err := NewField(name, value)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestApply(t *testing.T) {
	const in = "Received: x\r\n y\r\nbcc : secret\r\nSubject: s\r\nMIME-Version: 1.0\r\n" +
		"mime-version: 1.0\r\nContent-Type: text/html\r\ncontent-foo: x\r\n\r\nbody\r\n"
	for _, tt := range []struct {
		name   string
		change Change
		want   string
	}{
		{"nothing", Change{}, in},
		{"remove", Change{Remove: Named("BCC", "received")}, strings.Replace(in, "Received: x\r\n y\r\nbcc : secret\r\n", "", 1)},
		{"prepend", Change{Prepend: []Field{field(t, "A", "1"), field(t, "B", "2")}}, "A: 1\r\nB: 2\r\n" + in},
		{"entity", Change{Entity: &Entity{Fields: []Field{field(t, "Content-Type", "x/y")}, Body: []Piece{Text("a\r\n"), Text("b\r\n")}}},
			"Received: x\r\n y\r\nbcc: secret\r\nSubject: s\r\nMIME-Version: 1.0\r\nContent-Type: x/y\r\n\r\na\r\nb\r\n"},
	} {
		for _, form := range []string{in, strings.ReplaceAll(in, "\r\n", "\n")} {
			got, err := parse(t, form).Apply(tt.change)
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
			} else if string(got.Bytes()) != tt.want {
				t.Errorf("%s: %q, want %q", tt.name, got.Bytes(), tt.want)
			}
		}
	}
}

func TestApplyAddsMIMEVersion(t *testing.T) {
	m, err := parse(t, "Subject: s").Apply(Change{Entity: &Entity{Fields: []Field{field(t, "Content-Type", "x/y")}}})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(m.Bytes()), "Subject: s\r\nMIME-Version: 1.0\r\nContent-Type: x/y\r\n\r\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// Nothing that is put in can become a second field, a body, or a line that the
// next hop breaks.
func TestNoInjection(t *testing.T) {
	m := parse(t, "Subject: s\r\n\r\nbody\r\n")
	for name, c := range map[string]Change{
		"two fields":   {Prepend: []Field{{Name: "A", Raw: []byte("A: 1\r\nB: 2\r\n")}}},
		"body":         {Prepend: []Field{{Name: "A", Raw: []byte("A: 1\r\n\r\nB: 2\r\n")}}},
		"bare LF":      {Prepend: []Field{{Name: "A", Raw: []byte("A: 1\n b\r\n")}}},
		"bare CR":      {Prepend: []Field{{Name: "A", Raw: []byte("A: 1\r b\r\n")}}},
		"other name":   {Prepend: []Field{{Name: "A", Raw: []byte("B: 1\r\n")}}},
		"nothing":      {Prepend: []Field{{Name: "A"}}},
		"long line":    {Prepend: []Field{{Name: "A", Raw: []byte("A: " + strings.Repeat("x", 1000) + "\r\n")}}},
		"body LF":      {Entity: &Entity{Body: []Piece{Text("a\nb\r\n")}}},
		"body CR":      {Entity: &Entity{Body: []Piece{Text("a\rb")}, Received: true}},
		"body long":    {Entity: &Entity{Body: []Piece{Text(strings.Repeat("x", 999))}}},
		"entity field": {Entity: &Entity{Fields: []Field{{Name: "Content-Type", Raw: []byte("Content-Type: x/y\r\nA: b\r\n")}}}},
	} {
		if got, err := m.Apply(c); err == nil {
			t.Errorf("%s: accepted: %q", name, got.Bytes())
		}
	}
	mixed := parse(t, "Subject: s\r\n\r\na\nb\r\n")
	if got, err := mixed.Apply(Change{}); err == nil {
		t.Errorf("mixed line ends accepted: %q", got.Bytes())
	}
}

func TestReceivedBodyKeepsLongLines(t *testing.T) {
	long := strings.Repeat("x", 5000) + "\r\n"
	m := parse(t, "Subject: s\r\n\r\n"+long)
	got, err := m.Apply(Change{Prepend: []Field{field(t, "A", "1")}})
	if err != nil || string(got.Body()) != long {
		t.Errorf("%v", err)
	}
}

func TestNewField(t *testing.T) {
	word := strings.Repeat("w", 70)
	for _, tt := range []struct{ value, want string }{
		{"", "X: \r\n"},
		{" a ", "X: a\r\n"},
		{word + " " + word, "X: " + word + "\r\n " + word + "\r\n"},
		{word + " " + word + "   z", "X: " + word + "\r\n " + word + "   z\r\n"},
		{strings.Repeat("w", 200) + " b", "X:\r\n " + strings.Repeat("w", 200) + "\r\n b\r\n"},
	} {
		f, err := NewField("X", tt.value)
		if err != nil || string(f.Raw) != tt.want {
			t.Errorf("%q: %q, %v; want %q", tt.value, f.Raw, err, tt.want)
		}
		if got := f.Value(); err == nil && got != strings.Trim(tt.value, " ") {
			t.Errorf("%q unfolds to %q", tt.value, got)
		}
	}
	for name, value := range map[string]string{
		"X:": "a", "": "a", "X Y": "a", "X\r\nY": "a", "A": "a\r\nB: c", "B": "a\nb", "C": "a\rb",
		"D": "a\x00", "E": "ü", "F": strings.Repeat("x", 1000), "G": "\x7f",
	} {
		if f, err := NewField(name, value); err == nil {
			t.Errorf("%q, %q: accepted as %q", name, value, f.Raw)
		}
	}
}

func TestLineEnds(t *testing.T) {
	for in, want := range map[string]LineEnd{
		"": CRLF, "a": CRLF, "a\r\n": CRLF, "a\nb\n": LF, "a\r\nb\n": Mixed, "a\rb": Mixed, "a\n\rb": Mixed, "a\r\r\n": Mixed,
	} {
		if got := LineEnds([]byte(in)); got != want {
			t.Errorf("%q: %v, want %v", in, got, want)
		}
	}
	if got := string(Canonical([]byte("a\nb\r\n\n"))); got != "a\r\nb\r\n\r\n" {
		t.Errorf("canonical form is %q", got)
	}
}
