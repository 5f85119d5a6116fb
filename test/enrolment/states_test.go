package enrolment

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// TestStates: what the commands say of an order in each state, and of mistakes.
func TestStates(t *testing.T) {
	const user = "user@corp.example"
	s := startScript(t)
	real := s.path + ".real"
	if err := os.Rename(s.path, real); err != nil {
		t.Fatal(err)
	}
	// does has the program do something else from now on.
	does := func(shell string) {
		t.Helper()
		keep(t, s.path+".new", "#!/bin/sh\n"+shell+"\n")
		for _, err := range []error{os.Chmod(s.path+".new", 0o700), os.Rename(s.path+".new", s.path)} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	does("echo the CA is closed >&2; exit 75")
	h := open(t, table("script", "command", user, fmt.Sprintf("command = [%q]", s.path))+issuing)
	h.restart(t)
	says := func(status int, verb []string, wants ...string) {
		t.Helper()
		out := h.RunFails(t, status, append([]string{"enrol"}, verb...)...)
		for _, want := range wants {
			if !strings.Contains(out, want) {
				t.Errorf("enrol %s: no %q in\n%s", strings.Join(verb, " "), want, out)
			}
		}
	}
	verbs := func(words string) []string { return strings.Fields(words) }
	explained := func(want string) {
		t.Helper()
		out := h.RunFails(t, 1, "explain", "--from", user, "--to", "bob@partner.example")
		if !strings.Contains(out, want) {
			t.Errorf("explain: no %q in\n%s", want, out)
		}
	}
	says(0, verbs("list"), "0 orders")
	says(1, verbs("show "+user), "no such order")
	says(1, verbs("request other@corp.example"), "no [[enrolment]] is for this address")
	says(2, verbs("retry user"), "neither an address nor")

	// A failure is repeated later, a refusal is not.
	if reply, _ := h.sends(t, user); reply.Code != 451 {
		t.Errorf("%v", reply)
	}
	says(0, verbs("list"), "sent", user, "exit status 75: the CA is closed", "1 orders")
	says(0, verbs("show "+user), "state        sent", "next attempt", "problem      command")
	says(1, verbs("request "+user), "there is an order for the address already")
	explained("ordered on")
	does("echo not for you >&2; exit 1")
	says(0, verbs("retry "+user), "is tried again")
	h.restart(t)
	h.AwaitOutput(t, "failed", "enrol", "list")
	says(0, verbs("list"), "failed", "not for you")
	says(0, verbs("show "+user), "state        failed", "problem")
	says(1, verbs("request "+user), "there is an order for the address already")
	if reply, _ := h.sends(t, user); reply.Code != 451 {
		t.Errorf("%v", reply)
	}
	explained("failed")
	does("exec " + real)
	says(0, verbs("retry "+user), "is tried again")
	h.restart(t)
	h.WaitLog(t, `msg="identity issued" address=`+user, 1)
	says(0, verbs("list"), "0 orders")
	says(0, verbs("list --all"), "done", "1 orders")
	says(0, verbs("show "+user), "state        done", "certificate  ", "expires      ")
	says(1, verbs("retry "+user), "its orders are over")
	h.signer(t, user)

	// Another order, cancelled while the CA decides, with what is done.
	does(`echo '{"retry_after": 3600, "reference": "waiting at the CA"}'`)
	says(0, verbs("request "+user), "ordered for "+user)
	h.restart(t)
	h.AwaitOutput(t, "waiting at the CA", "enrol", "show", user)
	says(0, verbs("list"), "sent", "1 orders")
	does("echo the CA cannot revoke now >&2; exit 75")
	says(1, verbs("revoke "+user), "cancelled", "blocked here", "not revoked by script", "run the command again")
	does("exec " + real)
	says(0, verbs("revoke "+user), "revoked")
	says(0, verbs("list --all"), "cancelled", "done")
	if got := testpki.Must(os.ReadFile(s.dir + "/actions")); string(got) != "continue revoke " {
		t.Errorf("the program was run for %s", got)
	}
}
