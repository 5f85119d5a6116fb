package config

import (
	"iter"
	"reflect"
)

// NamedFile is an option that names a file or a folder.
type NamedFile struct {
	Key, Path string
	// Secret says that it holds a password or a private key, or that files in it do.
	Secret bool
}

// Files are all files and folders that the configuration names and that it wants to
// be there, in the order of its options; behind them the files of lists and texts.
func (c *Config) Files() iter.Seq[NamedFile] {
	return func(yield func(NamedFile) bool) {
		more := true
		eachFile("", reflect.ValueOf(c).Elem(), func(key string, tag reflect.StructTag, p reflect.Value) {
			if more && p.String() != "" {
				more = yield(NamedFile{Key: key, Path: p.String(), Secret: tag.Get("secret") != ""})
			}
		})
		for _, f := range c.inlined {
			more = more && yield(f)
		}
		if p := c.Trust.Public; more && p != "" && p != PublicRoots {
			yield(NamedFile{Key: "trust.public", Path: p})
		}
	}
}

// eachFile calls do with every option that names a file: its key, the tag of its field,
// and its value. key is that of v.
func eachFile(key string, v reflect.Value, do func(key string, tag reflect.StructTag, p reflect.Value)) {
	switch v.Kind() {
	case reflect.Slice:
		for i := range v.Len() {
			eachFile(index(key, i), v.Index(i), do)
		}
	case reflect.Struct:
		for f, fv := range v.Fields() {
			option := join(key, f.Tag.Get("toml"))
			switch {
			case f.Tag.Get("path") == "":
				eachFile(option, fv, do)
			case fv.Kind() == reflect.String:
				do(option, f.Tag, fv)
			default:
				for i := range fv.Len() {
					do(index(option, i), f.Tag, fv.Index(i))
				}
			}
		}
	}
}
