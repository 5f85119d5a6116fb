package config

import (
	"maps"
	"reflect"
	"slices"
)

// Option is one value of a configuration.
type Option struct {
	Key string `json:"key"` // "limits.connections", "rule[2].sender"
	// Value is the one in use and Default the built-in one, as they are written in the file;
	// "" is the default of what is in a table that the file has added. What can be a secret
	// is left out of Value.
	Value   string `json:"value"`
	Default string `json:"default"`
	// Line is where the file sets it, 0 where it does not.
	Line int `json:"line,omitempty"`
	// Table is where the table of an array that it is in begins, as errors and explanations have
	// it; 0 where it is in none, or the file has none.
	Table int `json:"table,omitempty"`
	// Doc says what it is.
	Doc string `json:"doc"`

	redacted bool // Value is not all of it
}

// Options returns all values of c in the order of config.toml.example. An array of tables has
// those of each table.
func (c *Config) Options() []Option {
	o := &optionLister{source: c.source}
	o.table("", reflect.ValueOf(c).Elem(), reflect.ValueOf(Default()).Elem())
	return o.list
}

type optionLister struct {
	source source
	list   []Option
	begin  int // of the table of an array that is listed
}

// table lists the fields of a table; the zero Value of builtIn is that the file has added it.
func (o *optionLister) table(path string, v, builtIn reflect.Value) {
	for f, fv := range v.Fields() {
		key := f.Tag.Get("toml")
		if key == "" || key == "-" {
			continue
		}
		var d reflect.Value
		if builtIn.IsValid() {
			d = builtIn.FieldByIndex(f.Index)
		}
		o.field(join(path, key), f, fv, d)
	}
}

func (o *optionLister) field(path string, f reflect.StructField, v, builtIn reflect.Value) {
	switch {
	case v.Kind() == reflect.Struct:
		o.table(path, v, builtIn)
	case v.Kind() == reflect.Map:
		profiles := v.Interface().(map[string]Profile)
		for _, name := range slices.Sorted(maps.Keys(profiles)) {
			var d reflect.Value
			if builtIn.IsValid() {
				d = builtIn.MapIndex(reflect.ValueOf(name))
			}
			o.table(join(path, name), reflect.ValueOf(profiles[name]), d)
		}
	case v.Kind() == reflect.Slice && isTable(v.Type()):
		for i := range v.Len() {
			before, at := o.begin, index(path, i)
			o.begin = o.source.lines[at]
			o.table(at, v.Index(i), reflect.Value{})
			o.begin = before
		}
	default:
		option := Option{Key: path, Value: shown(f, v), Line: o.source.lines[path], Table: o.begin, Doc: explanation(f)}
		option.redacted = option.Value != literal(v)
		if builtIn.IsValid() {
			option.Default = literal(builtIn)
		}
		o.list = append(o.list, option)
	}
}
