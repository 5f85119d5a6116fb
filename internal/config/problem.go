package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with a file.
type Problem struct {
	File string
	Line int    // 0: nowhere in particular
	Key  string // "limits.message_memory", "rule[2].sender"; "": the whole file
	// Text says what is wrong, Remedy what to do about it.
	Text, Remedy string
}

// String returns the problem as one line: file:line: key: text; remedy.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
	}
	if p.Key != "" {
		b.WriteString(": " + p.Key)
	}
	b.WriteString(": " + p.Text)
	if p.Remedy != "" {
		b.WriteString("; " + p.Remedy)
	}
	return b.String()
}

// Problems is everything that is wrong with a file, in the order of its lines.
type Problems []Problem

// Error returns one line a problem.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// InOrder sorts by line, keeps the order found within a line, and drops
// repetitions.
func (ps Problems) InOrder() Problems {
	slices.SortStableFunc(ps, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
	return slices.Compact(ps)
}

// source knows where the keys of a configuration stand in its file.
type source struct {
	file  string
	lines map[string]int
}

// problem makes a Problem about key. A key that is not in the file is placed at
// the nearest table around it that is.
func (s source) problem(key, text, remedy string) Problem {
	return Problem{File: s.file, Line: s.line(key), Key: key, Text: text, Remedy: remedy}
}

func (s source) line(key string) int {
	for key != "" {
		for _, k := range []string{key, key + "[0]"} {
			if n, ok := s.lines[k]; ok {
				return n
			}
		}
		key = key[:max(strings.LastIndexAny(key, ".["), 0)]
	}
	return 0
}

// File returns the path that the configuration was read from, "" for Default.
func (c *Config) File() string { return c.source.file }

// Problem makes a Problem about a key of c, for the packages that find out more
// about a value than its shape: key is written as in Problem.Key.
func (c *Config) Problem(key, text, remedy string) Problem {
	return c.source.problem(key, text, remedy)
}
