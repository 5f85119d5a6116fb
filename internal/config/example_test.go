package config

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var update = flag.Bool("update", false, "write the generated files again")

const exampleFile = "../../config.toml.example"

func TestExampleFileIsCurrent(t *testing.T) {
	if *update {
		if err := os.WriteFile(exampleFile, []byte(Example()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Example(), string(got)); diff != "" {
		t.Errorf("config.toml.example is not what the structs say; run go test ./internal/config -update\n%s", diff)
	}
}

// TestExampleSaysTheDefaults loads the example as it is, with every comment
// removed, and with the comment mark removed from every option.
func TestExampleSaysTheDefaults(t *testing.T) {
	data, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	asIs := string(data)
	comment := regexp.MustCompile(`(?m)^#.*\n`)
	option := regexp.MustCompile(`(?m)^#([a-z\[])`)
	for name, text := range map[string]string{
		"as it is":          asIs,
		"comments removed":  comment.ReplaceAllString(asIs, ""),
		"options commented": option.ReplaceAllString(asIs, "$1"),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "config.toml")
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			got, problems := Load(path)
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			if diff := cmp.Diff(Default(), got, ignorePlaces()...); diff != "" {
				t.Errorf("differs from the defaults:\n%s", diff)
			}
		})
	}
	if n := strings.Count(option.ReplaceAllString(asIs, "$1"), " = "); n < 80 {
		t.Errorf("only %d options in the example", n)
	}
}

// ignorePlaces leaves out where in a file something stands.
func ignorePlaces() []cmp.Option {
	return []cmp.Option{cmpopts.IgnoreUnexported(Config{}), cmpopts.IgnoreFields(Rule{}, "Line"), cmpopts.IgnoreFields(Entitlement{}, "Line")}
}
