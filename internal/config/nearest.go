package config

import (
	"fmt"
	"reflect"
	"strings"
)

// Nearest returns the name that was most likely meant by word, or "" when none
// is near: at most a third of the letters may differ, and at least one may.
func Nearest(word string, names []string) string {
	best, bound := "", max(1, len(word)/3)+1
	for _, name := range names {
		if d := distance(strings.ToLower(word), name); d < bound {
			best, bound = name, d
		}
	}
	return best
}

// distance is the number of letters to insert, delete, replace or swap with
// their neighbour to make b from a.
func distance(a, b string) int {
	before, last := []int(nil), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			row[j+1] = min(row[j]+1, last[j+1]+1, last[j]+differ(a[i], b[j]))
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}

func differ(a, b byte) int {
	if a == b {
		return 0
	}
	return 1
}

// remedyForWord says which words there are, the nearest first.
func remedyForWord(word, words string) string {
	known := strings.Split(words, ",")
	if near := Nearest(word, known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return "write " + orList(known)
}

// orList is `"a", "b" or "c"`.
func orList(words []string) string {
	quoted := make([]string, 0, len(words))
	for _, w := range words {
		if w != "" {
			quoted = append(quoted, fmt.Sprintf("%q", w))
		}
	}
	if n := len(quoted); n > 1 {
		return strings.Join(quoted[:n-1], ", ") + " or " + quoted[n-1]
	}
	return strings.Join(quoted, "")
}

// remedyFor says what a missing option is.
func remedyFor(f reflect.StructField) string {
	if words, ok := f.Tag.Lookup("enum"); ok {
		return "write " + orList(strings.Split(words, ","))
	}
	return "add it: " + f.Tag.Get("doc")
}

// homeOf returns the tables that know key, "" when none or many do.
func homeOf(key string) string {
	var homes []string
	for f := range reflect.TypeFor[Config]().Fields() {
		t := f.Type
		for t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
			t = t.Elem()
		}
		isTable := t.Kind() == reflect.Struct
		switch {
		case f.Tag.Get("toml") == key && isTable:
			return "a line of its own, as " + tableHeader(f)
		case f.Tag.Get("toml") == key:
			return "the top of the file, before the first table"
		case !isTable:
			continue
		}
		if _, ok := fieldsOf(t)[key]; ok {
			homes = append(homes, tableHeader(f))
		}
	}
	if len(homes) > 3 {
		return ""
	}
	return strings.Join(homes, " or ")
}

// tableHeader returns how a table is written: [a], [[a]] or [a.NAME].
func tableHeader(f reflect.StructField) string {
	name := f.Tag.Get("toml")
	switch f.Type.Kind() {
	case reflect.Slice:
		return "[[" + name + "]]"
	case reflect.Map:
		return "[" + name + ".NAME]"
	}
	return "[" + name + "]"
}
