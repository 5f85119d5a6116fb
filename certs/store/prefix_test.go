package store

import (
	"context"
	"fmt"
	"testing"
)

func TestAddressesWithPrefix(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := context.Background()
		for _, text := range []string{"bob@example.com", "Bobby@example.com", "b_x@example.com", "b%x@example.com", "carol@example.com"} {
			got[Stored](w)(w.Put(ctx, Harvested, New{Certificate: w.identity(1, text).Certificate}))
		}
		for text, want := range map[string]string{
			"bob":  "[bob@example.com bobby@example.com]",
			"BOBB": "[bobby@example.com]",
			"b_":   "[b_x@example.com]",
			"b%":   "[b%x@example.com]",
			`\`:    "[]",
			"\xff": "[]",
			"d":    "[]",
		} {
			if list, err := w.AddressesWithPrefix(ctx, text, 10); err != nil || fmt.Sprint(list) != want {
				t.Errorf("%q: %v, %v; want %s", text, list, err, want)
			}
		}
		if list, err := w.AddressesWithPrefix(ctx, "b", 2); err != nil || len(list) != 2 {
			t.Errorf("%v, %v", list, err)
		}
	})
}
