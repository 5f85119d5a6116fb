package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// decoder sets the fields of a Config from what the TOML parser read, notes all
// problems and goes on after each.
type decoder struct {
	source   source
	problems Problems
	inlined  []NamedFile
	// sent says that a client sent the text: no file that it names is opened. Sealed are
	// the options whose value is in one.
	sent   bool
	sealed Problems
	// mistyped are the options whose value is of another type: that is their only problem.
	mistyped map[string]bool
}

// seal notes an option whose value is in a file that is not opened.
func (d *decoder) seal(key string) {
	d.sealed = append(d.sealed, d.source.problem(key, "the file that it names is not opened for a text that was sent", "use the command on the gateway's host"))
}

func (d *decoder) complain(key, remedy, format string, args ...any) {
	if d.mistyped[key] {
		return
	}
	d.problems = append(d.problems, d.source.problem(key, fmt.Sprintf(format, args...), remedy))
}

// table sets the fields of the struct v from m.
func (d *decoder) table(path string, v reflect.Value, m map[string]any) {
	fields := fieldsOf(v.Type())
	for _, key := range sortedKeys(m) {
		f, ok := fields[key]
		if !ok {
			d.unknown(path, key, fields)
			continue
		}
		d.value(join(path, key), f, v.FieldByIndex(f.Index), m[key])
	}
	for f := range v.Type().Fields() {
		key := f.Tag.Get("toml")
		if _, given := m[key]; f.Tag.Get("required") != "" && !given {
			d.complain(join(path, key), remedyFor(f), "is missing")
		}
	}
}

// unknown complains of a key that v does not have.
func (d *decoder) unknown(path, key string, fields map[string]reflect.StructField) {
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names)
	if name := newName(path, key); name != "" {
		d.complain(join(path, key), fmt.Sprintf("renamed to %q", name), "unknown key")
		return
	}
	remedy := "valid keys: " + strings.Join(names, ", ")
	if near := Nearest(key, names); near != "" {
		remedy = fmt.Sprintf("did you mean %q?", near)
	} else if meaning := foreign[key]; meaning != "" {
		remedy = "set " + meaning
	} else if home := homeOf(key); home != "" {
		remedy = "move it to " + home
	}
	d.complain(join(path, key), remedy, "unknown key")
}

// value sets one field, whatever its type.
func (d *decoder) value(path string, f reflect.StructField, v reflect.Value, raw any) {
	switch v.Interface().(type) {
	case Size:
		d.size(path, f, v, raw)
		return
	case time.Duration:
		d.duration(path, f, v, raw)
		return
	}
	switch v.Kind() {
	case reflect.String:
		d.text(path, f, v, raw)
	case reflect.Bool:
		if b, ok := raw.(bool); ok {
			v.SetBool(b)
		} else {
			d.wrongType(path, raw, "true or false", "write true or false, without quotes")
		}
	case reflect.Int:
		d.number(path, f, v, raw)
	case reflect.Struct:
		if m, ok := raw.(map[string]any); ok {
			d.table(path, v, m)
		} else {
			d.wrongType(path, raw, "a table", "write ["+path+"] on a line of its own")
		}
	case reflect.Map:
		d.profiles(path, v, raw)
	case reflect.Slice:
		d.list(path, f, v, raw)
	}
}

func (d *decoder) text(path string, f reflect.StructField, v reflect.Value, raw any) {
	s, ok := raw.(string)
	words, enum := f.Tag.Lookup("enum")
	if !ok && enum {
		d.wrongType(path, raw, "a word", "write "+orList(strings.Split(words, ",")))
		return
	}
	if !ok {
		d.wrongType(path, raw, "a string", "put it in double quotes")
		return
	}
	if enum && !slices.Contains(strings.Split(words, ","), s) {
		d.complain(path, remedyForWord(s, words), "unknown word %q", s)
	}
	v.SetString(s)
}

func (d *decoder) number(path string, f reflect.StructField, v reflect.Value, raw any) {
	n, ok := raw.(int64)
	if !ok {
		d.wrongType(path, raw, "a whole number", "write it without quotes, units and fraction")
		return
	}
	if least, err := strconv.ParseInt(f.Tag.Get("min"), 10, 64); err == nil && n < least {
		d.complain(path, fmt.Sprintf("the least is %d", least), "%d is too small", n)
		return
	}
	v.SetInt(n)
}

func (d *decoder) size(path string, f reflect.StructField, v reflect.Value, raw any) {
	const remedy = `write octets or a size such as "50MB"`
	var s Size
	switch raw := raw.(type) {
	case int64:
		s = Size(raw)
	case string:
		var err error
		if s, err = parseSize(raw); err != nil {
			d.complain(path, remedy, "%v", err)
			return
		}
	default:
		d.wrongType(path, raw, "a size", remedy)
		return
	}
	if least, err := parseSize(f.Tag.Get("min")); err == nil && s < least {
		d.complain(path, fmt.Sprintf("the least is %v", least), "%v is too small", s)
		return
	}
	v.SetInt(int64(s))
}

func (d *decoder) duration(path string, f reflect.StructField, v reflect.Value, raw any) {
	const remedy = `write a number with a unit, such as "30s", "5m", "12h" or "5d"`
	s, ok := raw.(string)
	if !ok {
		d.wrongType(path, raw, "a duration", remedy)
		return
	}
	t, err := ParseDuration(s)
	if err != nil {
		d.complain(path, remedy, "%v", err)
		return
	}
	if least, err := ParseDuration(f.Tag.Get("min")); err == nil && t < least {
		d.complain(path, "the least is "+formatDuration(least), "%q is too short", s)
		return
	}
	v.SetInt(int64(t))
}

// list sets a slice: of tables from an array of tables, of values from an array.
func (d *decoder) list(path string, f reflect.StructField, v reflect.Value, raw any) {
	elem := v.Type().Elem()
	if elem.Kind() == reflect.Struct {
		d.tables(path, v, raw)
		return
	}
	items, ok := raw.([]any)
	if !ok {
		d.wrongType(path, raw, "a list", bracketed(elem, raw))
		return
	}
	list := reflect.MakeSlice(v.Type(), len(items), len(items))
	for i, item := range items {
		d.value(path+"["+strconv.Itoa(i)+"]", f, list.Index(i), item)
	}
	v.Set(list)
}

// bracketed says how raw is written as a list of elem. What is no text where text is meant
// would be the next mistake.
func bracketed(elem reflect.Type, raw any) string {
	_, isText := raw.(string)
	switch {
	case elem == reflect.TypeFor[time.Duration]() && !isText:
		return `put it in square brackets, with its unit: ["30d"]`
	case elem.Kind() == reflect.String && !isText:
		return `put it in square brackets and double quotes: ["..."]`
	}
	return "put it in square brackets"
}

// tables replaces the built-in elements of an array of tables by those of the
// file.
func (d *decoder) tables(path string, v reflect.Value, raw any) {
	items, ok := tableItems(raw)
	if !ok {
		d.wrongType(path, raw, "tables", "write [["+path+"]] on a line of its own before each")
		return
	}
	list := reflect.MakeSlice(v.Type(), len(items), len(items))
	for i, item := range items {
		list.Index(i).Set(newElement(v.Type().Elem()))
		d.table(path+"["+strconv.Itoa(i)+"]", list.Index(i), item)
	}
	v.Set(list)
}

// tableItems accepts [[a]] and a = [{}, {}].
func tableItems(raw any) ([]map[string]any, bool) {
	switch raw := raw.(type) {
	case []map[string]any:
		return raw, true
	case []any:
		items := make([]map[string]any, len(raw))
		for i, item := range raw {
			m, ok := item.(map[string]any)
			if !ok {
				return nil, false
			}
			items[i] = m
		}
		return items, true
	}
	return nil, false
}

func (d *decoder) profiles(path string, v reflect.Value, raw any) {
	m, ok := raw.(map[string]any)
	if !ok {
		d.wrongType(path, raw, "a table", "write ["+path+".NAME] on a line of its own")
		return
	}
	for _, name := range sortedKeys(m) {
		p := newProfile(name)
		d.value(join(path, name), reflect.StructField{}, reflect.ValueOf(&p).Elem(), m[name])
		v.SetMapIndex(reflect.ValueOf(name), reflect.ValueOf(p))
	}
}

func newElement(t reflect.Type) reflect.Value {
	switch t {
	case reflect.TypeFor[Listener]():
		return reflect.ValueOf(newListener())
	case reflect.TypeFor[Directory]():
		return reflect.ValueOf(newDirectory())
	case reflect.TypeFor[Rule]():
		return reflect.ValueOf(newRule())
	case reflect.TypeFor[InboundRule]():
		return reflect.ValueOf(newInboundRule())
	case reflect.TypeFor[Route]():
		return reflect.ValueOf(newRoute())
	case reflect.TypeFor[Enrolment]():
		return reflect.ValueOf(newEnrolment())
	case reflect.TypeFor[Publish]():
		return reflect.ValueOf(newPublish())
	case reflect.TypeFor[Entitlement]():
		return reflect.ValueOf(newEntitlement())
	}
	return reflect.Zero(t)
}

func (d *decoder) wrongType(path string, raw any, want, remedy string) {
	d.complain(path, remedy, "is %s, must be %s", typeName(raw), want)
	if d.mistyped == nil {
		d.mistyped = map[string]bool{}
	}
	d.mistyped[path] = true
}

func typeName(raw any) string {
	switch raw.(type) {
	case string:
		return "a string"
	case bool:
		return "true or false"
	case int64:
		return "a whole number"
	case float64:
		return "a fraction"
	case time.Time:
		return "a date"
	case map[string]any:
		return "a table"
	case []map[string]any:
		return "an array of tables"
	}
	return "a list"
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// fieldsOf returns the fields of a struct by their keys.
func fieldsOf(t reflect.Type) map[string]reflect.StructField {
	fields := make(map[string]reflect.StructField)
	for f := range t.Fields() {
		if key := f.Tag.Get("toml"); key != "" && key != "-" {
			fields[key] = f
		}
	}
	return fields
}
