package history

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/smime/address"
)

// hostile are texts that JSON does not have as they are, and those next to them.
var hostile = []string{"", "<", ">", "&", `"`, `\`, "\x00", "\x1f", " ", "~", "\x7f", "\b\f\n\r\t", "\u2028", "\u2029", "\ufffd", "\xff", "\xe2\x80", "\xed\xa0\x80", "ä", "😀"}

// texts are some of those together, with others between.
func texts() *rapid.Generator[string] {
	part := rapid.OneOf(rapid.SampledFrom(hostile), rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }))
	return rapid.Map(rapid.SliceOfN(part, 0, 3), func(parts []string) string { return strings.Join(parts, "") })
}

func addresses() *rapid.Generator[address.Address] {
	return rapid.Custom(func(t *rapid.T) address.Address {
		local := rapid.OneOf(rapid.SampledFrom([]string{"a", "a&b", `q"\<>`, "jörg", " "}), rapid.StringN(1, 20, 60)).Draw(t, "local part")
		a, err := address.ParseUnquoted(local + "@" + rapid.SampledFrom([]string{"example.org", "Bücher.example", "[192.0.2.1]"}).Draw(t, "domain"))
		if err != nil {
			return address.Null
		}
		return a
	})
}

func times() *rapid.Generator[time.Time] {
	return rapid.Custom(func(t *rapid.T) time.Time {
		at := time.Unix(rapid.Int64Range(-1<<40, 1<<40).Draw(t, "seconds"), rapid.Int64Range(0, 999_999_999).Draw(t, "nanoseconds"))
		return at.In(time.FixedZone("", 60*rapid.IntRange(-2000, 2000).Draw(t, "minutes")))
	})
}

// made makes values of a type, of all that it has.
func made[V any]() *rapid.Generator[V] {
	return rapid.MakeCustom[V](rapid.MakeConfig{
		Types: map[reflect.Type]*rapid.Generator[any]{
			reflect.TypeFor[address.Address](): addresses().AsAny(), reflect.TypeFor[time.Time](): times().AsAny(),
		},
		Kinds: map[reflect.Kind]*rapid.Generator[any]{reflect.String: texts().AsAny()},
	})
}

// TestJSONIsThatOfThePackage: what is stored is what encoding/json makes of it, whatever the values
// are, and so can be read by it. Values have all fields of the types: one that is not written shows.
func TestJSONIsThatOfThePackage(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		row, facts := made[storedRow]().Draw(t, "row"), made[storedFacts]().Draw(t, "facts")
		if rapid.Bool().Draw(t, "a common number") {
			row.EventsOmitted = 0
		}
		compare(t, &row, row.write)
		compare(t, &facts, facts.write)
	})
	// Each part that may be left out, alone.
	for _, facts := range []storedFacts{
		{}, {Content: storedContent{TooWeak: map[string]bool{}}}, {Certificate: storedLookup{Usable: []string{}}},
		{Triggers: enforce.Triggers{Guessed: true}}, {Group: enforce.GroupFacts{Asked: true}}, {Found: &storedFound{}}, {Others: math.MinInt},
	} {
		compare(t, &facts, facts.write)
	}
}

func compare(t rapid.TB, value any, write func(*jsonText)) {
	t.Helper()
	var got jsonText
	write(&got)
	want, err := json.Marshal(value)
	if (got.err != nil) != (err != nil) {
		t.Fatalf("error %v, want %v", got.err, err)
	}
	if err == nil && string(got.b) != string(want) {
		t.Errorf("got  %s\nwant %s", got.b, want)
	}
}
