package main

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs/ca"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/address"
)

// TestOrdersPicked: what names several orders, or none in particular, is refused, and an
// order comes with the one of its bundle.
func TestOrdersPicked(t *testing.T) {
	s := testpki.Must(store.Open(t.Context(), store.Config{Key: bytes.Repeat([]byte{7}, store.KeySize)}))
	defer s.Close()
	for id, addr := range map[string]string{"aa01": "alice@example.com", "aa12": "bob@example.com", "bb01": "carol@example.com", "cc02": "carol@example.com"} {
		o := store.Order{ID: id, Bundle: "b" + addr, Address: testpki.Must(address.Parse(addr)), Purpose: store.Purpose(id), Enrolment: "e",
			Key: testpki.Must(ca.GenerateKey("p256")), NextAt: time.Now()}
		if err := s.PutOrders(t.Context(), store.OrderLimits{}, o); err != nil {
			t.Fatal(err)
		}
	}
	e := &enrolment{store: s}
	for text, want := range map[string][]string{
		"": nil, "a": nil, "aa": nil, "<>": nil, "al": nil, "dd": nil, "%": nil,
		"aa0": {"aa01"}, "AA1": {"aa12"}, "bb": {"bb01", "cc02"}, "bob@example.com": {"aa12"},
	} {
		list, err := e.pick(t.Context(), []string{text}, true)
		var got []string
		for _, o := range list {
			got = append(got, o.ID)
		}
		slices.Sort(got)
		if (err == nil) != (want != nil) || !slices.Equal(got, want) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}
