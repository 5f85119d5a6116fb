package config

import (
	"fmt"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/google/go-cmp/cmp"
)

func TestLineIndex(t *testing.T) {
	const doc = `# a comment with = and [ in it
top = "a # that is none" # one that is

[table]
'quoted' = 1
long = """
[not.a.table]
key = "no key" \""" still
""""
list = [ # here
  "x]", 'y"',
  { a = "}" },
]
	after = true
dotted.key = 1
[[many]]
a = 1
[many.sub]
b = 2
[[many]]
a = '''
'''
[[many.inner]]
c = 3
[[many.inner]]
c = 4
["odd.name"]
d=1`
	want := map[string]int{
		"top": 2, "table": 4, "table.quoted": 5, "table.long": 6, "table.list": 10, "table.after": 14, "table.dotted.key": 15,
		"many[0]": 16, "many[0].a": 17, "many[0].sub": 18, "many[0].sub.b": 19,
		"many[1]": 20, "many[1].a": 21, "many[1].inner[0]": 23, "many[1].inner[0].c": 24, "many[1].inner[1]": 25, "many[1].inner[1].c": 26,
		"odd.name": 27, "odd.name.d": 28,
	}
	var ignored map[string]any
	if _, err := toml.Decode(doc, &ignored); err != nil {
		t.Fatalf("the test's document is not TOML: %v", err)
	}
	if diff := cmp.Diff(want, lineIndex(doc)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(want, lineIndex(strings.ReplaceAll(doc, "\n", "\r\n"))); diff != "" {
		t.Errorf("with CRLF (-want +got)\n%s", diff)
	}
}

func TestNearest(t *testing.T) {
	names := []string{"message_size", "recipients", "memory", "drain"}
	for word, want := range map[string]string{
		"message_sise": "message_size", "MEMORY": "memory", "mesage_size": "message_size", "recipient": "recipients",
		"drian": "drain", "x": "", "colour": "", "": "",
	} {
		if got := Nearest(word, names); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", word, got, want)
		}
	}
}

// FuzzParse: no file makes the reader crash, every problem has a place in the
// file and a remedy, and what is read twice is read the same.
func FuzzParse(f *testing.F) {
	f.Add(Example())
	f.Add(strings.ReplaceAll(Example(), "\n#", "\n"))
	f.Add("[[rule]]\nname = 1\n[rule.x]\n[[listener]]\n[[listener.a.b]]\n")
	f.Add("a.b.c = 1\n\"\" = 2\n[profile]\nx = 1\n[profile.y]\n[exception]\n")
	f.Add("domains = [[1]]\nlisten\ner = {a = {b = 1}}\n[limits\n]\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, problems := Parse("/nowhere/f.toml", []byte(text))
		if c == nil && len(problems) == 0 {
			t.Fatal("neither a configuration nor a problem")
		}
		lines := strings.Count(text, "\n") + 1
		for _, p := range problems {
			if p.Text == "" || p.Line < 0 || p.Line > lines || strings.Contains(p.String(), "\n") && !strings.Contains(text, "\n") {
				t.Errorf("problem %+v", p)
			}
		}
		_, again := Parse("/nowhere/f.toml", []byte(text))
		if diff := cmp.Diff(fmt.Sprint(problems), fmt.Sprint(again)); diff != "" {
			t.Errorf("read twice:\n%s", diff)
		}
	})
}
