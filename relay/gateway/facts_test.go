package gateway

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/smimerelay/smimerelay/enforce"
)

// TestFactsAreTheSame: what an envelope says is the same in the facts of an outbound
// and of an inbound message, and of a member of a group as of a recipient who is named.
func TestFactsAreTheSame(t *testing.T) {
	w, groups := groupWorld(t)
	groups.members["staff@list.example"] = "x@plain.example alice@own.example"
	env := w.envelope("out", "alice@own.example", "staff@list.example", "y@own.example")
	env.Client.User, env.Others = "alice", 3
	e, err := w.gateway.collect(t.Context(), env, w.letter("staff@list.example"), toCarryOut)
	if err != nil {
		t.Fatal(err)
	}
	local := map[string]bool{}
	for _, r := range e.facts.Recipients {
		local[r.Address.String()] = r.Internal
	}
	if diff := cmp.Diff(map[string]bool{"alice@own.example": true, "x@plain.example": false, "y@own.example": true}, local); diff != "" {
		t.Errorf("recipients who are internal: %s", diff)
	}
	for _, direction := range []enforce.Direction{enforce.Outbound, enforce.Inbound} {
		f := w.gateway.envelopeFacts(env, direction)
		if f.Client != (enforce.Client{User: "alice", Addr: env.Client.Addr, Listener: "out"}) || f.Sender != env.Sender || f.Others != 3 {
			t.Errorf("%s: %+v", direction, f)
		}
		if len(f.Recipients) != 2 || f.Recipients[0].Internal || !f.Recipients[1].Internal {
			t.Errorf("%s: %+v", direction, f.Recipients)
		}
	}
}
