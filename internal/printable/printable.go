// Package printable makes text that strangers control safe to show: a certificate's
// name or a server's reply must not move the cursor of a terminal, begin a line of
// its own, or turn the reading direction of what stands beside it.
package printable

import (
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"
)

// text returns s on one line, with each character that is not shown as itself
// written as a Go escape: \n, \x1b, \u202e.
func text(s string) string {
	if clean(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case active(r):
			quoted := strconv.QuoteToASCII(string(r))
			b.WriteString(quoted[1 : len(quoted)-1])
		default:
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	return b.String()
}

func clean(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, active) < 0
}

// active reports whether r does more than stand where it is written: C0 and C1
// controls, line and paragraph separators, and the controls of the Unicode
// bidirectional algorithm (UAX #9 section 2), with which a name can look like
// another.
func active(r rune) bool {
	switch {
	case r < ' ', r >= 0x7f && r < 0xa0, // C0, DEL, C1
		r == 0x061c, r == 0x200e, r == 0x200f, // implicit marks
		r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069, // embeddings, isolates
		r == 0x2028, r == 0x2029, r == 0xfeff:
		return true
	}
	return false
}

// Args returns the arguments of a format with every text among them made
// printable: strings of any type, errors, and what has a String method.
func Args(args []any) []any {
	out := make([]any, len(args))
	for i, a := range args {
		out[i] = arg(a)
	}
	return out
}

func arg(a any) any {
	switch v := a.(type) {
	case error:
		return text(v.Error())
	case fmt.Stringer:
		return text(v.String())
	}
	if v := reflect.ValueOf(a); v.Kind() == reflect.String {
		return text(v.String())
	}
	return a
}

// JSON returns a writer for JSON texts, each handed over whole, that writes what
// encoding/json leaves as it is and a terminal would act upon as \u escapes.
// Outside of its strings JSON has none of these characters, but for line ends.
func JSON(w io.Writer) io.Writer { return jsonWriter{w} }

type jsonWriter struct{ w io.Writer }

func (j jsonWriter) Write(b []byte) (int, error) {
	var out []byte
	kept := 0
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r >= 0x7f && active(r) {
			out = fmt.Appendf(append(out, b[kept:i]...), `\u%04x`, r)
			kept = i + n
		}
		i += n
	}
	if kept == 0 {
		return j.w.Write(b)
	}
	if _, err := j.w.Write(append(out, b[kept:]...)); err != nil {
		return 0, err
	}
	return len(b), nil
}
