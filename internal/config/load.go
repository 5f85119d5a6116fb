package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/BurntSushi/toml"
)

// Load reads the file at path over the built-in defaults. Relative paths in the
// file are taken from the folder it is in. The problems are all that is wrong
// with it, in the order of its lines; the Config is then what could be read, for
// those who look for further problems, and must not be used for anything else.
// It is nil when nothing could be read.
func Load(path string) (*Config, Problems) {
	data, err := os.ReadFile(Place(path))
	if err != nil {
		return nil, Problems{unreadable(path, err)}
	}
	return Parse(path, data)
}

// Parse is Load for the contents of a file; path is used for messages and for
// relative paths.
func Parse(path string, data []byte) (*Config, Problems) {
	c, d := parse(path, data, &decoder{})
	return c, d.problems.InOrder()
}

// ParseSent is Parse for a text that a client sent: no file that it names is opened, for
// a problem with one would tell the client what is in it. Sealed are the options whose
// value is in such a file; in the Config they have a value that stands for it.
func ParseSent(path string, data []byte) (c *Config, problems, sealed Problems) {
	c, d := parse(path, data, &decoder{sent: true})
	return c, d.problems.InOrder(), d.sealed.InOrder()
}

func parse(path string, data []byte, d *decoder) (*Config, *decoder) {
	var raw map[string]any
	if _, err := toml.Decode(string(data), &raw); err != nil {
		d.problems = syntaxProblems(path, string(data))
		return nil, d
	}
	c := Default()
	c.source = source{file: path, lines: lineIndex(string(data))}
	d.source = c.source
	d.table("", reflect.ValueOf(c).Elem(), raw)
	for i := range c.Rules {
		c.Rules[i].Line = c.source.line(index("rule", i))
	}
	for i := range c.Partners {
		c.Partners[i].Line = c.source.line(index("partner", i))
	}
	for i := range c.InboundRules {
		c.InboundRules[i].Line = c.source.line(index("inbound_rule", i))
	}
	for i := range c.Routes {
		c.Routes[i].Line = c.source.line(index("route", i))
	}
	for i := range c.Entitled {
		c.Entitled[i].Line = c.source.line(index("entitlement", i))
	}
	d.lists(filepath.Dir(path), c)
	c.inlined = d.inlined
	resolvePaths(filepath.Dir(path), reflect.ValueOf(c).Elem())
	if p := c.Trust.Public; p != "" && p != PublicRoots && !filepath.IsAbs(p) {
		c.Trust.Public = filepath.Join(filepath.Dir(path), p)
	}
	validate(c, d)
	return c, d
}

func unreadable(path string, err error) Problem {
	p := Problem{File: path, Text: reason(err), Remedy: "check the path and who may read it"}
	if errors.Is(err, fs.ErrNotExist) {
		p.Remedy = "name another file with --config, or create one with \"smimerelay init\""
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

// resolvePaths makes every option that names a file absolute. A URL names none.
func resolvePaths(dir string, v reflect.Value) {
	eachFile("", v, func(_ string, _ reflect.StructTag, p reflect.Value) {
		if s := p.String(); s != "" && !filepath.IsAbs(s) && !strings.Contains(s, "://") && !isDatabase(s) {
			p.SetString(filepath.Join(dir, s))
		}
	})
}
