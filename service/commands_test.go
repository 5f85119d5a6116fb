package service

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/history"
	"github.com/smimerelay/smimerelay/smime/address"
)

func parsed(t *testing.T, text string) address.Address {
	t.Helper()
	a, err := address.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// A flood of one member is not answered, and costs no other member an answer, nor memory
// without bound.
func TestMailCommandFlood(t *testing.T) {
	var c commandCounts
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	alice, zoe := parsed(t, "alice@example.org"), parsed(t, "zoe@example.org")
	answered := 0
	for range 1000 {
		if c.allow(alice, 20, now) || c.allow(parsed(t, "ALICE@example.org"), 20, now) {
			answered++
		}
	}
	if answered > 20 || !c.allow(zoe, 20, now) {
		t.Errorf("%d answered, and zoe is not", answered)
	}
	if !c.allow(alice, 20, now.Add(time.Hour)) {
		t.Error("not answered after an hour")
	}
	for i := range mostCounted + 10 {
		c.allow(parsed(t, strings.Repeat("a", i%50)+"x"+time.Duration(i).String()+"@example.org"), 20, now.Add(time.Hour))
	}
	if len(c.from) > mostCounted {
		t.Errorf("%d members are counted", len(c.from))
	}
	if !c.allow(parsed(t, "new@example.org"), 20, now.Add(3*time.Hour)) {
		t.Error("no new member is answered after all others are old")
	}
}

// The member reads what a rule said or a server replied, never a private cause.
func TestPublicReason(t *testing.T) {
	const private = "dial tcp 10.0.0.1: connection refused"
	for name, c := range map[string]struct {
		row  history.Row
		want string
	}{
		"by a rule": {history.Row{Outcome: history.Refused, Rule: "r", Reason: "no certificate"}, "no certificate"},
		"a fault": {history.Row{Outcome: history.Deferred, Reason: "internal error: " + private,
			Events: []history.Event{{Kind: history.Answered, Reply: "451 4.3.0 internal error"}}}, "451 4.3.0 internal error"},
		"a fault that was not answered": {history.Row{Outcome: history.Deferred, Reason: private}, ""},
		"delivered": {history.Row{Outcome: history.Delivered, Rule: "r", Reason: "signed, though",
			Events: []history.Event{{Kind: history.Attempt, Host: "mx.example", Reply: "250 ok"}}}, ""},
		"bounced": {history.Row{Outcome: history.Failed, Rule: "r", Reason: "x",
			Events: []history.Event{{Kind: history.Attempt, Host: "mx.example", Reply: "550 5.1.1 unknown"}}}, "host mx.example said: 550 5.1.1 unknown"},
		"not reached": {history.Row{Outcome: history.Queued, Rule: "r", Events: []history.Event{{Kind: history.Attempt, Reason: private}}}, ""},
		"expired": {history.Row{Outcome: history.Failed, Events: []history.Event{{Kind: history.Attempt, Reason: private},
			{Kind: history.Ended, Reason: "delivery time expired"}}}, "delivery time expired"},
	} {
		if got := publicReason(&c.row); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// check says that commands cannot be answered, and refuses an address elsewhere.
func TestMailCommandsOfAConfiguration(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.toml")
	for text, want := range map[string]string{
		`"smime@example.org"`: "warning",
		`"smime@example.net"`: "not of a local domain",
		`"smime.example.org"`: "address",
		`""`:                  "",
	} {
		if err := os.WriteFile(file, []byte("hostname = \"gw.example.org\"\ndomains = [\"example.org\"]\n[mail_commands]\naddress = "+text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		p, problems := loadElsewhere(t, file)
		switch {
		case p == nil:
			if want == "" || want == "warning" || !strings.Contains(problems.Error(), want) {
				t.Errorf("%s: %v", text, problems)
			}
			continue
		case want != "" && want != "warning":
			t.Errorf("%s is taken", text)
		}
		if got := about(p.Warnings(Holdings{}, time.Now()), "sign answers with"); (got != "") != (want == "warning") {
			t.Errorf("%s: warnings %q", text, got)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
}
