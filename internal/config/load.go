package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"

	"github.com/BurntSushi/toml"
)

// Load reads the file at path over the built-in defaults. Relative paths in the
// file are taken from the folder it is in. The problems are all that is wrong
// with it, in the order of its lines; the Config is then what could be read, for
// those who look for further problems, and must not be used for anything else.
// It is nil when nothing could be read.
func Load(path string) (*Config, Problems) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, Problems{unreadable(path, err)}
	}
	return Parse(path, data)
}

// Parse is Load for the contents of a file; path is used for messages and for
// relative paths.
func Parse(path string, data []byte) (*Config, Problems) {
	var raw map[string]any
	if _, err := toml.Decode(string(data), &raw); err != nil {
		return nil, Problems{syntaxProblem(path, err)}
	}
	c := Default()
	c.source = source{file: path, lines: lineIndex(string(data))}
	d := &decoder{source: c.source}
	d.table("", reflect.ValueOf(c).Elem(), raw)
	for i := range c.Rules {
		c.Rules[i].Line = c.source.line(index("rule", i))
	}
	resolvePaths(filepath.Dir(path), reflect.ValueOf(c).Elem())
	validate(c, d)
	return c, d.problems.InOrder()
}

func unreadable(path string, err error) Problem {
	p := Problem{File: path, Text: reason(err), Remedy: "check the path and who may read it"}
	if errors.Is(err, fs.ErrNotExist) {
		p.Remedy = "name another with --config, or make one with \"smimerelay init\""
	}
	return p
}

// reason is the cause of a file error without the path, which the problem names.
func reason(err error) string {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err.Error()
	}
	return err.Error()
}

func syntaxProblem(path string, err error) Problem {
	p := Problem{File: path, Text: "not TOML: " + err.Error()}
	if e, ok := errors.AsType[toml.ParseError](err); ok {
		p.Line, p.Key, p.Text = e.Position.Line, e.LastKey, "not TOML: "+e.Message
		p.Remedy = "correct the line, then check again: what follows it was not read"
	}
	return p
}

// resolvePaths makes every option that names a file absolute.
func resolvePaths(dir string, v reflect.Value) {
	eachPath(v, func(p reflect.Value) {
		if s := p.String(); s != "" && !filepath.IsAbs(s) {
			p.SetString(filepath.Join(dir, s))
		}
	})
}

func eachPath(v reflect.Value, do func(reflect.Value)) {
	switch v.Kind() {
	case reflect.Slice:
		for i := range v.Len() {
			eachPath(v.Index(i), do)
		}
	case reflect.Struct:
		for f, fv := range v.Fields() {
			if f.Tag.Get("path") == "" {
				eachPath(fv, do)
				continue
			}
			if fv.Kind() == reflect.String {
				do(fv)
				continue
			}
			for i := range fv.Len() {
				do(fv.Index(i))
			}
		}
	}
}
