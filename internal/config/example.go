package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Example returns config.toml.example: every option, commented out, with its
// default and one line of explanation. An explanation begins with "# ", an
// option with "#": taking the mark away from the options gives a file that says
// the same as no file.
func Example() string {
	var b strings.Builder
	b.WriteString(`# The configuration of smimerelay.
#
# Every option is listed with its default: remove the # from a line to
# change it. Explanations begin with "# " and options with "#".
# Durations are written "30s", "5m", "12h" or "5d", sizes "50MB".
# Relative paths are relative to the folder of this file.
# After a change: smimerelay check --config FILE, then reload the service.

`)
	v := reflect.ValueOf(Default()).Elem()
	writeOptions(&b, v)
	for f, fv := range v.Fields() {
		writeTables(&b, f, fv)
	}
	return b.String()
}

// writeTables writes the table or tables of one field of Config.
func writeTables(b *strings.Builder, f reflect.StructField, v reflect.Value) {
	name := f.Tag.Get("toml")
	switch {
	case v.Kind() == reflect.Struct && name != "":
		fmt.Fprintf(b, "\n# %s\n[%s]\n", f.Tag.Get("doc"), name)
		writeOptions(b, v)
	case v.Kind() == reflect.Slice && v.Len() == 0: // written at the top of the file
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct:
		fmt.Fprintf(b, "\n# %s\n", f.Tag.Get("doc"))
		for i := range v.Len() {
			if i == 0 {
				fmt.Fprintf(b, "#[[%s]]\n", name)
				writeOptions(b, v.Index(i))
				continue
			}
			fmt.Fprintf(b, "\n#[[%s]]\n", name)
			writeBare(b, v.Index(i))
		}
	case v.Kind() == reflect.Map:
		fmt.Fprintf(b, "\n# %s\n", f.Tag.Get("doc"))
		writeProfiles(b, name, v.Interface().(map[string]Profile))
	}
}

// writeProfiles writes the presets, "default" first and alone with explanations.
func writeProfiles(b *strings.Builder, name string, profiles map[string]Profile) {
	fmt.Fprintf(b, "[%s.default]\n", name)
	writeOptions(b, reflect.ValueOf(profiles["default"]))
	for _, preset := range slices.Sorted(maps.Keys(profiles)) {
		if preset == "default" {
			continue
		}
		fmt.Fprintf(b, "\n[%s.%s]\n", name, preset)
		writeBare(b, reflect.ValueOf(profiles[preset]))
	}
}

// writeBare writes options without their explanations.
func writeBare(b *strings.Builder, v reflect.Value) {
	for f, fv := range v.Fields() {
		if key := f.Tag.Get("toml"); key != "-" {
			fmt.Fprintf(b, "#%s = %s\n", key, literal(fv))
		}
	}
}

func writeOptions(b *strings.Builder, v reflect.Value) {
	for f, fv := range v.Fields() {
		key := f.Tag.Get("toml")
		if key == "" || key == "-" {
			continue
		}
		if !isTable(fv.Type()) {
			fmt.Fprintf(b, "# %s\n#%s = %s\n", explanation(f), key, literal(fv))
		} else if fv.Kind() == reflect.Slice && fv.Len() == 0 {
			writeEmptyTables(b, f)
		}
	}
}

// writeEmptyTables writes an array of tables that is empty by default: as a
// list, for there is no other way to write none, with its options explained.
func writeEmptyTables(b *strings.Builder, f reflect.StructField) {
	fmt.Fprintf(b, "# %s\n", f.Tag.Get("doc"))
	for o := range f.Type.Elem().Fields() {
		if key := o.Tag.Get("toml"); key != "-" {
			fmt.Fprintf(b, "#   %s: %s\n", key, explanation(o))
		}
	}
	fmt.Fprintf(b, "#%s = []\n", f.Tag.Get("toml"))
}

// explanation is the doc of an option with the words it may be.
func explanation(f reflect.StructField) string {
	doc := f.Tag.Get("doc")
	if words, ok := f.Tag.Lookup("enum"); ok {
		doc += " (" + strings.Join(strings.FieldsFunc(words, func(r rune) bool { return r == ',' }), ", ") + ")"
	}
	return doc
}

// isTable reports whether t is written as a table.
func isTable(t reflect.Type) bool {
	for t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	return t.Kind() == reflect.Struct || t.Kind() == reflect.Map
}

// literal returns v as TOML.
func literal(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case Size:
		if s := x.String(); s != strconv.FormatInt(int64(x), 10) {
			return strconv.Quote(s)
		}
		return strconv.FormatInt(int64(x), 10)
	case time.Duration:
		return strconv.Quote(formatDuration(x))
	case string:
		return strconv.Quote(x)
	}
	if v.Kind() != reflect.Slice {
		return fmt.Sprint(v.Interface())
	}
	items := make([]string, v.Len())
	for i := range items {
		items[i] = literal(v.Index(i))
	}
	return "[" + strings.Join(items, ", ") + "]"
}
