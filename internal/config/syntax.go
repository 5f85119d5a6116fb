package config

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/BurntSushi/toml"
)

// maxSyntax bounds how many errors of syntax are reported at once.
const maxSyntax = 10

const thenAgain = ", then check again: other problems are only reported after that"

// Syntax finds what is not TOML in a file, none if all is.
func Syntax(path string, data []byte) Problems {
	var raw map[string]any
	if _, err := toml.Decode(string(data), &raw); err == nil {
		return nil
	}
	return syntaxProblems(path, string(data))
}

// syntaxProblems finds what is not TOML. The parser stops at the first error:
// its line is emptied and the rest is read again, as long as that helps.
func syntaxProblems(path, text string) Problems {
	if p, bad := notText(path, []byte(text)); bad {
		return Problems{p}
	}
	var ps Problems
	lines := strings.Split(text, "\n")
	for len(ps) < maxSyntax {
		var raw map[string]any
		_, err := toml.Decode(strings.Join(lines, "\n"), &raw)
		if err == nil {
			break
		}
		e, ok := errors.AsType[toml.ParseError](err)
		if !ok {
			return append(ps, Problem{File: path, Text: "not TOML: " + err.Error(), Remedy: "correct it, then check again"})
		}
		// The parser may place an error behind the last line.
		at := min(max(e.Position.Line, 1), len(lines)) - 1
		if len(ps) > 0 && lines[at] == "" {
			break
		}
		if opening, found := openList(e.Message, lines, at); found {
			return append(ps, Problem{
				File: path, Line: opening + 1, Text: fmt.Sprintf("not TOML: the list is not closed before line %d", at+1),
				Remedy: "close it with ]" + thenAgain,
			})
		}
		ps = append(ps, Problem{
			File: path, Line: at + 1, Text: "not TOML: " + strings.TrimSuffix(e.Message, "."),
			Remedy: syntaxRemedy(e.Message, lines[at]) + thenAgain,
		})
		lines[at] = ""
	}
	return ps
}

// openList finds the line with the list that is not closed, where the parser complains of
// what is below it, such as the header of the next table: it takes that for an item. What
// further down is wrong can then not be found.
func openList(message string, lines []string, at int) (opening int, found bool) {
	line := strings.TrimSpace(lines[at])
	if !strings.Contains(message, "expected a comma") || line == "" || strings.HasPrefix(line, `"`) || strings.HasPrefix(line, "'") {
		return 0, false // a comma is missing between the items
	}
	if table := strings.HasPrefix(line, "["); !table && !assigns.MatchString(line) {
		return 0, false
	}
	for opening = at - 1; opening >= 0; opening-- {
		if _, value, ok := strings.Cut(lines[opening], "="); ok && strings.HasPrefix(strings.TrimSpace(value), "[") {
			return opening, true
		}
	}
	return 0, false
}

// assigns is a line that gives an option its value.
var assigns = regexp.MustCompile(`^[A-Za-z0-9_.-]+\s*=`)

// notText finds a file whose characters are not those of TOML, which is UTF-8.
func notText(path string, data []byte) (Problem, bool) {
	const remedy = "save the file as UTF-8, for example: iconv -f %s -t UTF-8 OLD > NEW"
	switch {
	case bytes.HasPrefix(data, []byte("\xff\xfe")), bytes.HasPrefix(data, []byte("\xfe\xff")):
		return Problem{File: path, Text: "is UTF-16, must be UTF-8", Remedy: fmt.Sprintf(remedy, "UTF-16")}, true
	case bytes.IndexByte(data, 0) >= 0:
		line := 1 + bytes.Count(data[:bytes.IndexByte(data, 0)], []byte("\n"))
		return Problem{File: path, Line: line, Text: "is not a text file: it contains a NUL", Remedy: "name the configuration file, or write it again"}, true
	case utf8.Valid(data):
		return Problem{}, false
	}
	at := 0
	for {
		r, n := utf8.DecodeRune(data[at:])
		if r == utf8.RuneError && n == 1 {
			break
		}
		at += n
	}
	return Problem{
		File: path, Line: 1 + bytes.Count(data[:at], []byte("\n")), Text: fmt.Sprintf("is not UTF-8: it contains the octet 0x%02x", data[at]),
		Remedy: fmt.Sprintf(remedy, "ISO-8859-1"),
	}, true
}

// syntaxRemedies are what people write instead of TOML: what the parser says of it, what its
// line has, "" for any, and what to do.
var syntaxRemedies = []struct{ message, line, remedy string }{
	{"", "\u201c\u201d\u201e\u201f\u2018\u2019\u00ab\u00bb", `write the straight quotes "`},
	{"", "\u00a0\u202f", "replace the no-break space by an ordinary one"},
	{"expected a comma (',') or array terminator (']'), but got ';'", "", "put a comma between the items of the list"},
	{"to end with a newline, comment, or EOF, but got ';'", "", "remove the semicolon: the end of the line ends a value; begin comments with #"},
	{"but got ';'", "", "begin comments with #"},
	{"but got '/'", "", "begin comments with #"},
	{"but got ':'", "=", "write name = value, with = alone"},
	{"but got ':'", "", "write name = value: this looks like YAML"},
	{"to end table name", "", "write the name of a table as [name] or [[name]]"},
	{"but got ']'", "", "write the name of a table as [name] or [[name]]"},
	{`expected '.' or '=', but got '\n'`, "", "write name = value"},
	{`expected value but found '\n'`, "", "write a value, or remove the line: the option then has its default"},
	{`found "null"`, "", "remove the line: the option then has its default"},
	{`found "none"`, "", "remove the line: the option then has its default"},
	{"but got '{'", "", "write name = value: this looks like JSON"},
	{"has already been defined", "", "write each table and each option once: move what is below to the first one"},
	{"invalid escape", "", `write each backslash twice, or put the text in single quotes`},
	{"strings cannot contain newlines", "", "close the quotes on the same line"},
	{"unexpected EOF", "", "close the quotes or brackets"},
	{"leading zeroes", "", "put the number in double quotes"},
	{"expected a comma", "", "put a comma between the items of the list"},
	{`found "True"`, "", "write true in small letters"},
	{`found "False"`, "", "write false in small letters"},
	{`found "yes"`, "", "write true"},
	{`found "on"`, "", "write true"},
	{`found "no"`, "", "write false"},
	{`found "off"`, "", "write false, or a word in double quotes"},
	{"expected value but found", "", "put text in double quotes, and write true or false without"},
	{"end with a newline", "", `put a value with a unit in double quotes, such as "5m"`},
	{"0x0d", "", `end the lines with LF or CRLF, for example: tr '\r' '\n' < OLD > NEW`},
}

// syntaxRemedy says what to do about what the parser says of a line.
func syntaxRemedy(message, line string) string {
	for _, r := range syntaxRemedies {
		if strings.Contains(message, r.message) && (r.line == "" || strings.ContainsAny(line, r.line)) {
			return r.remedy
		}
	}
	return "correct the line"
}
