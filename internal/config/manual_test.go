package config

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const manualFile = "../../docs/smimerelay.toml.5"

// TestManualPageIsCurrent keeps the manual page what the structs say.
func TestManualPageIsCurrent(t *testing.T) {
	want := manual()
	if *update {
		if err := os.WriteFile(manualFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(manualFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("docs/smimerelay.toml.5 is not what the structs say; run go test ./internal/config -update\n%s", diff)
	}
}

// TestEveryOptionIsExplained wants one line of explanation for each option.
func TestEveryOptionIsExplained(t *testing.T) {
	var look func(path string, typ reflect.Type)
	look = func(path string, typ reflect.Type) {
		for f := range typ.Fields() {
			key := f.Tag.Get("toml")
			if key == "-" || !f.IsExported() {
				continue
			}
			doc := f.Tag.Get("doc")
			if key == "" || doc == "" || strings.Contains(doc, "\n") {
				t.Errorf("%s: key %q, explanation %q", join(path, f.Name), key, doc)
			}
			inner := f.Type
			for inner.Kind() == reflect.Slice || inner.Kind() == reflect.Map {
				inner = inner.Elem()
			}
			if inner.Kind() == reflect.Struct {
				look(join(path, key), inner)
			}
		}
	}
	look("", reflect.TypeFor[Config]())
}

// manual returns the manual page of the configuration file.
func manual() string {
	var b strings.Builder
	b.WriteString(`.TH SMIMERELAY.TOML 5 "" smimerelay "File formats"
.SH NAME
smimerelay.toml \- the configuration of smimerelay
.SH DESCRIPTION
The file is TOML. Durations are written "30s", "5m", "12h" or "5d", sizes "50MB"; relative paths are taken from the folder of the file. An option that is not given has its default. smimerelay check tells all problems of a file at once; serve runs the same check. An address to listen on or to deliver to is host:port or unix:/path.
.PP
A pattern for senders and recipients is an address, a domain (example.com), its subdomains (.example.com) or a glob; * is everybody.
`)
	v := reflect.ValueOf(Default()).Elem()
	b.WriteString(".SH TOP OF THE FILE\n")
	writeItems(&b, v)
	for f, fv := range v.Fields() {
		if !f.IsExported() || !isTable(f.Type) {
			continue
		}
		fmt.Fprintf(&b, ".SH %s\n%s\n", roff(tableHeader(f)), roff(f.Tag.Get("doc")))
		switch fv.Kind() {
		case reflect.Struct:
			writeItems(&b, fv)
			writeInner(&b, f.Tag.Get("toml"), fv)
		case reflect.Slice:
			writeItems(&b, newElement(fv.Type().Elem()))
		case reflect.Map:
			writeItems(&b, fv.MapIndex(reflect.ValueOf("default")))
		}
	}
	b.WriteString(".SH SEE ALSO\nsmimerelay(1)\n")
	return b.String()
}

// writeInner writes the arrays of tables within a table.
func writeInner(b *strings.Builder, path string, v reflect.Value) {
	for f := range v.Type().Fields() {
		if f.Type.Kind() != reflect.Slice || !isTable(f.Type) {
			continue
		}
		fmt.Fprintf(b, ".SH %s\n%s\n", roff("[["+join(path, f.Tag.Get("toml"))+"]]"), roff(f.Tag.Get("doc")))
		writeItems(b, newElement(f.Type.Elem()))
	}
}

func writeItems(b *strings.Builder, v reflect.Value) {
	for f, fv := range v.Fields() {
		key := f.Tag.Get("toml")
		if key == "" || key == "-" || isTable(fv.Type()) {
			continue
		}
		term := key + " = " + literal(fv)
		if f.Tag.Get("required") != "" {
			term = key + " (required)"
		}
		fmt.Fprintf(b, ".TP\n.B %s\n%s.\n", roff(term), roff(explanation(f)))
	}
}

func roff(s string) string { return strings.NewReplacer(`\`, `\e`, "-", `\-`, `"`, `\(dq`).Replace(s) }
