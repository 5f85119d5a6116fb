package config

import (
	"reflect"
	"regexp"
	"testing"
)

// keyMaterial are words by which an option tells of private keys, passwords and tokens.
var keyMaterial = regexp.MustCompile(`(?i)private key|PKCS #12|\.p12|password|secret|token|with the key|with a key|key that|identit`)

// innocent are options whose text has such a word, and whose files have no secret.
var innocent = map[string]string{
	"identities.token_helper": "a program",
}

// An option that names a file with a secret says so: check looks at its permissions, and a
// backup that is not encrypted leaves it out.
func TestSecretsAreTagged(t *testing.T) {
	found := 0
	eachOption("", reflect.TypeFor[Config](), func(key string, tag reflect.StructTag) {
		if tag.Get("path") == "" || innocent[key] != "" {
			return
		}
		if word := keyMaterial.FindString(tag.Get("toml") + " " + tag.Get("doc")); word != "" {
			if found++; tag.Get("secret") == "" {
				t.Errorf("%s: the text says %q, and there is no tag secret:\"yes\"", key, word)
			}
		}
	})
	if found < 15 {
		t.Errorf("only %d options with secrets", found)
	}
}

// eachOption calls do with every option that the type of a configuration has.
func eachOption(key string, typ reflect.Type, do func(key string, tag reflect.StructTag)) {
	switch typ.Kind() {
	case reflect.Slice, reflect.Map:
		eachOption(key, typ.Elem(), do)
	case reflect.Struct:
		for f := range typ.Fields() {
			option := join(key, f.Tag.Get("toml"))
			do(option, f.Tag)
			eachOption(option, f.Type, do)
		}
	}
}

// What is read from files into options is among the files that a configuration names.
func TestFilesOfLists(t *testing.T) {
	c, _ := Parse("/nowhere/config.toml", []byte("[trust]\npublic = \"roots.pem\"\n[[rule]]\nname = \"a\"\nsender = [\"file:vip.txt\", \"x@example.org\"]\nfooter = \"file:/elsewhere/footer.txt\"\n"))
	want := map[string]string{"rule[0].sender[0]": "/nowhere/vip.txt", "rule[0].footer": "/elsewhere/footer.txt", "trust.public": "/nowhere/roots.pem"}
	for f := range c.Files() {
		if want[f.Key] == f.Path {
			delete(want, f.Key)
		}
	}
	if len(want) > 0 {
		t.Errorf("missing: %v", want)
	}
}
