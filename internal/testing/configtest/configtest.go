// Package configtest keeps the configurations of tests away from what a gateway
// that is installed on the machine has in use.
package configtest

import (
	"fmt"
	"path/filepath"
	"regexp"

	"github.com/BurntSushi/toml"
)

// options are those whose built-in values are places on the machine, and the
// names of the files in a test's folder that stand in for them. No server listens on
// the socket.
var options = []struct{ table, key, scheme, file string }{
	{"store", "url", "", "store.db"},
	{"store", "key_file", "", "store.key"},
	{"queue", "path", "", "queue.db"},
	{"next_hop", "address", "unix:", "next-hop"},
}

// Elsewhere returns a configuration with places in the folder dir for those that
// the text does not name.
func Elsewhere(text, dir string) string {
	for _, o := range options {
		var tables map[string]any
		if _, err := toml.Decode(text, &tables); err != nil {
			return text
		}
		table, there := tables[o.table].(map[string]any)
		_, named := table[o.key]
		if named || o.key == "key_file" && table["url"] == "" { // nothing is sealed in memory
			continue
		}
		text = add(text, o.table, o.key, o.scheme+filepath.Join(dir, o.file), there)
	}
	return text
}

// add gives the table an option: behind its head, as a dotted key where it has
// none, or with a head of its own at the end, where the lines keep their numbers.
func add(text, table, key, value string, there bool) string {
	line := fmt.Sprintf("%s = %q\n", key, value)
	if head := regexp.MustCompile(`(?m)^\[` + table + `\].*\n`).FindStringIndex(text); head != nil {
		return text[:head[1]] + line + text[head[1]:]
	}
	if there {
		return table + "." + line + text
	}
	return text + "\n[" + table + "]\n" + line
}
