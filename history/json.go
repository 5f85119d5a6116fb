package history

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/smimerelay/smimerelay/smime/address"
)

// jsonText is JSON of the stored forms, in the text that encoding/json makes of the same values. It
// is written field by field, because a row is made for each recipient: reflection was a quarter of
// what a row took. What is named as a field is left out where it is empty.
type jsonText struct {
	b   []byte
	err error // the first one
}

// next puts a comma between this member or element and the one before.
func (j *jsonText) next() {
	if last := j.b[len(j.b)-1]; last != '{' && last != '[' {
		j.b = append(j.b, ',')
	}
}

// key begins a member of an object; its value follows.
func (j *jsonText) key(name string) {
	j.next()
	j.b = append(j.b, '"')
	j.b = append(j.b, name...)
	j.b = append(j.b, '"', ':')
}

// begin begins an object or a list, and end ends it.
func (j *jsonText) begin(bracket byte) { j.b = append(j.b, bracket) }

func (j *jsonText) end(bracket byte) { j.b = append(j.b, bracket) }

// text writes a text as a value.
func (j *jsonText) text(s string) {
	if plain(s) {
		j.b = append(j.b, '"')
		j.b = append(j.b, s...)
		j.b = append(j.b, '"')
		return
	}
	b, err := json.Marshal(s)
	j.add(b, err)
}

// plain reports whether a text is in JSON as it is.
func plain(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ', c > '~', c == '"', c == '\\', c == '<', c == '>', c == '&':
			return false
		}
	}
	return true
}

// add adds what another function has made of a value.
func (j *jsonText) add(b []byte, err error) {
	if err != nil && j.err == nil {
		j.err = err
	}
	j.b = append(j.b, b...)
}

func (j *jsonText) number(n int64) { j.b = strconv.AppendInt(j.b, n, 10) }

func (j *jsonText) flag(is bool) { j.b = strconv.AppendBool(j.b, is) }

// time writes a time by RFC 3339.
func (j *jsonText) time(t time.Time) {
	j.b = append(j.b, '"')
	b, err := t.AppendText(j.b)
	if err != nil {
		j.add(nil, err)
		return
	}
	j.b = append(b, '"')
}

func (j *jsonText) address(a address.Address) { j.text(a.String()) }

func (j *jsonText) textField(name, s string) {
	if s != "" {
		j.key(name)
		j.text(s)
	}
}

func (j *jsonText) numberField(name string, n int64) {
	if n != 0 {
		j.key(name)
		j.number(n)
	}
}

func (j *jsonText) flagField(name string, is bool) {
	if is {
		j.key(name)
		j.flag(is)
	}
}

// listField writes a list.
func listField[T any](j *jsonText, name string, list []T, write func(*jsonText, T)) {
	if len(list) == 0 {
		return
	}
	j.key(name)
	j.begin('[')
	for i := range list {
		j.next()
		write(j, list[i])
	}
	j.end(']')
}

// mapField writes a map as an object, in the order of its keys.
func mapField[T any](j *jsonText, name string, m map[string]T, write func(*jsonText, T)) {
	if len(m) == 0 {
		return
	}
	j.key(name)
	j.begin('{')
	for _, key := range slices.Sorted(maps.Keys(m)) {
		j.next()
		j.text(key)
		j.b = append(j.b, ':')
		write(j, m[key])
	}
	j.end('}')
}
