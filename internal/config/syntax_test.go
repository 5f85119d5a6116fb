package config

import (
	"strings"
	"testing"
	"unicode/utf16"
)

// TestEncodings: a file of a Windows editor is read, or the problem names its encoding.
func TestEncodings(t *testing.T) {
	text := "hostname = \"gw.example.org\"\r\n# f\u00fcr alle\r\n"
	wide := func(first, second int) string {
		var b strings.Builder
		for _, u := range utf16.Encode([]rune("\ufeff" + text)) {
			both := [2]byte{byte(u >> 8), byte(u)}
			b.WriteByte(both[first])
			b.WriteByte(both[second])
		}
		return b.String()
	}
	for name, c := range map[string]struct{ text, want string }{
		"UTF-8":                  {text, ""},
		"with a byte order mark": {"\ufeff" + text, ""},
		"UTF-16 of Windows":      {wide(1, 0), "config.toml: is UTF-16, must be UTF-8; save the file as UTF-8"},
		"UTF-16, big-endian":     {wide(0, 1), "config.toml: is UTF-16, must be UTF-8; save the file as UTF-8"},
		"ISO 8859-1":             {strings.ReplaceAll(text, "\u00fc", "\xfc"), "config.toml:2: is not UTF-8: it contains the octet 0xfc; save the file as UTF-8"},
		"a program":              {"\x7fELF\x02\x01\x01\x00", "config.toml:1: is not a text file: it contains a NUL; name the configuration file"},
	} {
		_, problems := Parse("config.toml", []byte(c.text))
		got := problems.Error()
		if c.want == "" && strings.Contains(got, "UTF") || strings.Contains(got, "not TOML") || !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
