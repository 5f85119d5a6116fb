package config

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// TestRenamedOptionNamesItsSuccessor wants each old name refused with the new
// one as the remedy, and the new one to be an option of the same table.
func TestRenamedOptionNamesItsSuccessor(t *testing.T) {
	for old, name := range renamed {
		table, key, _ := strings.Cut(old, ".")
		f, fields := tableFields(t, table)
		if _, ok := fields[key]; ok {
			t.Errorf("%s: still an option", old)
		}
		if _, ok := fields[name]; !ok {
			t.Errorf("%s: its new name %q is no option of %s", old, name, tableHeader(f))
		}
		at := table
		if f.Type.Kind() == reflect.Slice {
			at += "[0]"
		}
		want := fmt.Sprintf("x.toml:2: %s.%s: unknown key; renamed to %q", at, key, name)
		_, problems := Parse("x.toml", []byte(tableHeader(f)+"\n"+key+" = 1\n"))
		if !strings.Contains(problems.Error(), want) {
			t.Errorf("%s:\n%s\nwant %s", old, problems.Error(), want)
		}
	}
}

// tableFields returns the field of Config that holds table, and its options.
func tableFields(t *testing.T, table string) (reflect.StructField, map[string]reflect.StructField) {
	t.Helper()
	f, ok := fieldsOf(reflect.TypeFor[Config]())[table]
	if !ok {
		t.Fatalf("there is no table %q", table)
	}
	typ := f.Type
	if typ.Kind() == reflect.Slice {
		typ = typ.Elem()
	}
	return f, fieldsOf(typ)
}
