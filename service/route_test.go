package service

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/nexthop"
	"github.com/smimerelay/smimerelay/relay/route"
	"github.com/smimerelay/smimerelay/relay/smtpclient"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/message"
)

// TestRoutes: recipients of our domains and others go to their next hops, and each
// has the answer of theirs.
func TestRoutes(t *testing.T) {
	away, home, own := newHop(t), newHop(t), newHop(t)
	home.refuses = "alice@example.org"
	client := func(h *hop) *nexthop.NextHop {
		return testpki.Must(nexthop.New(nexthop.Config{Hosts: []string{h.address}, TLS: nexthop.Off, Client: smtpclient.Config{Hostname: "gw.example.org"}}))
	}
	local := testpki.Must(enforce.CompilePatterns([]string{"example.org", ".example.org"}))
	table := func(list ...route.Route) *route.Table {
		return testpki.Must(route.New(append(list, route.Route{Name: routeDefault}), local.Match))
	}
	listener := route.Route{Name: routeListener + "own", Conditions: route.Conditions{Listener: []string{"own"}}}
	r := routes{
		hops:  map[string]*nexthop.NextHop{routeDefault: client(away), routeLocal: client(home), listener.Name: client(own)},
		table: table(listener, route.Route{Name: routeLocal, Conditions: route.Conditions{Recipient: []string{"example.org", ".example.org"}}}),
	}
	defer r.close()
	msg := testpki.Must(message.Parse([]byte("From: a@example.net\r\nSubject: x\r\n\r\ny\r\n")))
	d := relay.Delivery{Sender: testpki.Must(address.Parse("a@example.net")), Message: msg}
	for _, to := range []string{"bob@example.net", "alice@example.org", "carol@example.com", "dave@sub.example.org"} {
		d.Recipients = append(d.Recipients, relay.Recipient{Address: testpki.Must(address.Parse(to))})
	}
	errs, _ := r.deliver(t.Context(), "another", d)
	if len(errs) != 4 || errs[0] != nil || errs[1] == nil || errs[2] != nil || errs[3] != nil {
		t.Errorf("errors %v", errs)
	}
	if away.wait(t, 1)["x"] != 1 || home.wait(t, 1)["x"] != 1 || len(own.got) != 0 {
		t.Errorf("away %v, home %v, own %v", away.got, home.got, own.got)
	}
	if errs, _ := r.deliver(t.Context(), "own", d); errs[1] != nil || own.wait(t, 1)["x"] != 1 || away.got["x"] != 1 {
		t.Errorf("errors %v, own %v", errs, own.got)
	}
	r.table = table()
	if errs, _ := r.deliver(t.Context(), "", d); errs[1] != nil || away.wait(t, 1)["x"] != 2 || home.got["x"] != 1 {
		t.Errorf("errors %v, away %v, home %v", errs, away.got, home.got)
	}
}

// TestTurns: what waits in the queue goes by the limits of the route at once or not at all,
// and has no turn but the one it was given; a client waits for its own.
func TestTurns(t *testing.T) {
	away := newHop(t)
	r := routes{
		hops: map[string]*nexthop.NextHop{routeDefault: testpki.Must(nexthop.New(nexthop.Config{
			Hosts: []string{away.address}, TLS: nexthop.Off, Concurrency: 1, Client: smtpclient.Config{Hostname: "gw.example.org"},
		}))},
		table: testpki.Must(route.New([]route.Route{{Name: routeDefault}}, func(address.Address) bool { return false })),
	}
	defer r.close()
	d := relay.Delivery{
		Sender: testpki.Must(address.Parse("a@example.net")), Recipients: []relay.Recipient{{Address: testpki.Must(address.Parse("b@example.net"))}},
		Message: testpki.Must(message.Parse([]byte("From: a@example.net\r\nSubject: x\r\n\r\ny\r\n"))),
	}
	done, _ := r.turn(routeDefault)
	if done == nil {
		t.Fatal("the first has no turn")
	}
	if second, _ := r.turn(routeDefault); second != nil {
		t.Error("two turns at once")
	}
	if gone, _ := r.turn("gone/example.net"); gone == nil {
		t.Error("a route that is no more has limits")
	}
	if errs, _ := r.deliver(relay.WithTurn(t.Context(), routeDefault), "", d); errs[0] != nil {
		t.Errorf("with its turn: %v", errs[0])
	}
	errs, _ := r.deliver(relay.WithTurn(t.Context(), "another"), "", d)
	if _, ok := errors.AsType[*relay.NotYet](errs[0]); !ok {
		t.Errorf("with the turn of another route: %v", errs[0])
	}
	client, cancel := context.WithCancel(t.Context())
	cancel()
	if errs, _ := r.deliver(client, "", d); relay.ReplyFor(errs[0]).Code != 451 {
		t.Errorf("a client that waits no longer: %v", errs[0])
	}
	done()
	if errs, _ := r.deliver(t.Context(), "", d); errs[0] != nil {
		t.Errorf("a client, later: %v", errs[0])
	}
	// One that has waited for as long as it may at other destinations still has a turn that
	// is now.
	patience := time.Duration(0)
	if errs, _ := r.give(t.Context(), &patience, route.Destination{Route: routeDefault}, d); errs[0] != nil || patience != 0 {
		t.Errorf("a client without patience: %v, %v left", errs[0], patience)
	}
	if away.wait(t, 1)["x"] != 3 {
		t.Errorf("delivered %v", away.got)
	}
}
