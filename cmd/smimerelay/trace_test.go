package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/history"
	"github.com/smimerelay/smimerelay/internal/testing/configtest"
	"github.com/smimerelay/smimerelay/smime/address"
)

// TestOutcomesAreTold: trace has a sentence for each outcome.
func TestOutcomesAreTold(t *testing.T) {
	for _, o := range history.Outcomes {
		if outcomes[o] == "" {
			t.Errorf("no sentence for %q", o)
		}
	}
}

// past is a folder with a configuration and a history.
type past struct {
	t   *testing.T
	dir string
	now time.Time
}

const pastRules = `hostname = "gw.example.org"
domains = ["example.org"]
[[rule]]
name = "partner"
recipient = ["partner.example"]
sign = "require"
encrypt = "require"
[[rule]]
name = "default"
sign = "prefer"
encrypt = "never"
`

func newPast(t *testing.T, rows ...history.Row) *past {
	t.Helper()
	p := &past{t: t, dir: t.TempDir(), now: time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)}
	p.write("config.toml", pastRules)
	s, err := history.Open(context.Background(), history.Place{Path: filepath.Join(p.dir, "history.db")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write(context.Background(), history.Batch{Rows: rows}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *past) write(name, text string) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, name), []byte(configtest.Elsewhere(text, p.dir)), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// run runs a verb in the folder, and wants an exit status.
func (p *past) run(status int, args ...string) (stdout, stderr string) {
	p.t.Helper()
	var out, errs bytes.Buffer
	for i, a := range args {
		args[i] = strings.ReplaceAll(a, "DIR", p.dir)
	}
	got := run(args, &app{stdin: strings.NewReader(""), stdout: &out, stderr: &errs, clock: func() time.Time { return p.now }})
	if got != status {
		p.t.Errorf("%q: exit status %d instead of %d: %s%s", args, got, status, &out, &errs)
	}
	return out.String(), errs.String()
}

func mailbox(t *testing.T, text string) address.Address {
	t.Helper()
	a, err := address.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// sent is a row of a message of the day before; usable says that its recipient has a
// certificate.
func sent(t *testing.T, id, to string, usable bool, decided, rule string) history.Row {
	alice, bob := mailbox(t, "alice@example.org"), mailbox(t, to)
	certificate := enforce.CertificateFacts{State: enforce.None, Reason: "none found"}
	if usable {
		certificate = enforce.CertificateFacts{State: enforce.Available, Usable: []enforce.Fingerprint{{1}}}
	}
	return history.Row{
		Time: time.Date(2026, 3, 1, 10, 42, 0, 0, time.UTC), ID: id, QueueID: "Q" + id, MessageID: "<" + id + "@example.org>",
		Listener: "outbound", Client: "192.0.2.1", Direction: "outbound", Sender: alice, Recipient: bob, Size: 4711,
		Rule: rule, Line: 3, Decided: decided, Steps: []string{"sign by profile default"}, Outcome: history.Delivered,
		Events: []history.Event{{
			Time: time.Date(2026, 3, 1, 10, 42, 1, 0, time.UTC), Kind: history.Attempt, Attempt: 1, Host: "mx.partner.example", Reply: "250 queued as \x1b[31m4711",
		}},
		Facts: &enforce.Facts{
			Direction: enforce.Outbound, Sender: alice, From: []address.Address{alice}, Identity: enforce.Available,
			Recipients: []enforce.RecipientFacts{{Address: bob, Certificate: certificate}},
		},
	}
}

func TestTrace(t *testing.T) {
	refused := sent(t, "two", "carl@partner.example", false, "refused", "partner")
	refused.Outcome, refused.Reason, refused.Events = history.Refused, "no valid S/MIME certificate", nil
	p := newPast(t, sent(t, "one", "bob@partner.example", true, "signed, encrypted", "partner"), refused)
	for _, what := range []string{"one", "Qone", "<one@example.org>", "one@example.org", "bob@partner.example"} {
		out, _ := p.run(exitDone, "trace", "--config", "DIR/config.toml", what)
		for _, want := range []string{
			"2026-03-01T10:42:00Z: message one from <alice@example.org>", `The rule "partner" in line 3 decided.`, "sign by profile default",
			"Attempt 1 at mx.partner.example: 250 queued as", "The next hop took it.",
		} {
			if !strings.Contains(out, want) {
				t.Errorf("%s: no %q in\n%s", what, want, out)
			}
		}
		if strings.Contains(out, "message two") || strings.Contains(out, "\x1b") {
			t.Errorf("%s: too much in\n%q", what, out)
		}
	}
	out, _ := p.run(exitDone, "trace", "--config", "DIR/config.toml", "alice@example.org")
	if strings.Count(out, ": message ") != 2 || !strings.Contains(out, "It was refused.") {
		t.Errorf("both messages of the sender:\n%s", out)
	}
	if out, _ = p.run(exitDone, "trace", "--config", "DIR/config.toml", "--limit", "1", "alice@example.org"); !strings.Contains(out, "There are older messages") {
		t.Errorf("a limit:\n%s", out)
	}
	var rows []history.Row
	out, _ = p.run(exitDone, "trace", "--config", "DIR/config.toml", "--json", "two")
	if err := json.Unmarshal([]byte(out), &rows); err != nil || len(rows) != 1 || rows[0].Outcome != history.Refused {
		t.Errorf("JSON: %v, %s", err, out)
	}
	if _, errs := p.run(exitNegative, "trace", "--config", "DIR/config.toml", "three"); !strings.Contains(errs, `the history has nothing of "three"`) {
		t.Errorf("nothing: %s", errs)
	}
	p.run(exitNegative, "trace", "--config", "DIR/config.toml", "--since", "1h", "one")
	for status, all := range map[int][][]string{
		exitDone:     {{"--from", "2026-03-01T10:42"}, {"--to", "2026-03-01 10:43"}, {"--from", "2026-03-01", "--to", "2026-03-02"}, {"--rule", "partner", "--listener", "outbound"}},
		exitNegative: {{"--from", "2026-03-01T10:43"}, {"--to", "2026-03-01T11:42:00+01:00"}, {"--rule", "default"}, {"--listener", "inbound"}},
		exitUnusable: {{"--from", "yesterday"}, {"--since", "1h", "--from", "2026-03-01"}},
	} {
		for _, flags := range all {
			p.run(status, append([]string{"trace", "--config", "DIR/config.toml", "one"}, flags...)...)
		}
	}
	p.write("off.toml", "history.keep = \"0s\"\n"+pastRules)
	if _, errs := p.run(exitUnusable, "trace", "--config", "DIR/off.toml", "one"); !strings.Contains(errs, "keeps no history") {
		t.Errorf("off: %s", errs)
	}
	empty := &past{t: t, dir: t.TempDir(), now: p.now}
	empty.write("config.toml", pastRules)
	if _, errs := empty.run(exitUnusable, "trace", "--config", "DIR/config.toml", "one"); !strings.Contains(errs, "there is no history yet") {
		t.Errorf("none: %s", errs)
	}
}

// TestReplay: the rules in use change nothing, others what they say; what they ask and
// the history does not have is unknown.
func TestReplay(t *testing.T) {
	atRCPT := sent(t, "four", "dave@partner.example", false, history.AtRCPT, "partner")
	undecided := sent(t, "five", "eve@example.com", false, "", "")
	p := newPast(t,
		sent(t, "one", "bob@partner.example", true, "signed, encrypted", "partner"),
		sent(t, "two", "carl@partner.example", false, "refused", "partner"),
		sent(t, "three", "carl@example.com", false, "signed", "default"), atRCPT, undecided)
	for _, c := range []struct {
		name, rules string
		want        []string
	}{
		{"the same", pastRules, []string{
			"5 recipients of 5 messages since 2026-01-31T12:00:00Z: 4 would be treated as they were, 0 otherwise, 0 unknown", "1 were not decided on by rules",
		}},
		{"plaintext for those without", strings.Replace(pastRules, `encrypt = "require"`, `encrypt = "prefer"`, 1), []string{
			"2 would be treated as they were, 2 otherwise, 0 unknown",
			`1 signed that were refused, by rule "partner"`, `1 accepted that were refused at RCPT, by rule "partner"`,
			`two from <alice@example.org> to <carl@partner.example>: signed by "partner", was refused by "partner"`,
		}},
		{"a subject", strings.Replace(pastRules, "[[rule]]\n", "[[rule]]\nname = \"s\"\nsubject = [\"[plain]\"]\nsign = \"never\"\nencrypt = \"never\"\n[[rule]]\n", 1), []string{
			"0 would be treated as they were, 0 otherwise, 4 unknown", "3 unknown: the history does not have the header or the attachments",
		}},
		{"certificates of all", strings.Replace(pastRules, `encrypt = "never"`, `encrypt = "require"`, 1), []string{
			"1 refused that were signed", "no valid S/MIME certificate for carl@example.com",
		}},
	} {
		p.write("new.toml", c.rules)
		out, _ := p.run(exitDone, "policy", "replay", "--config", "DIR/config.toml", "DIR/new.toml")
		for _, want := range c.want {
			if !strings.Contains(out, want) {
				t.Errorf("%s: no %q in\n%s", c.name, want, out)
			}
		}
	}
	out, _ := p.run(exitDone, "policy", "replay", "--config", "DIR/config.toml", "--json", "--limit", "0", "DIR/new.toml")
	var result history.Replay
	if err := json.Unmarshal([]byte(out), &result); err != nil || result.Changed != 1 || result.DifferencesOmitted != 1 || len(result.Differences) != 0 {
		t.Errorf("JSON: %v, %s", err, out)
	}
}

// TestCasesFromHistory: what is written as cases is what the rules decided.
func TestCasesFromHistory(t *testing.T) {
	inbound := sent(t, "in", "bob@example.org", false, "delivered", "")
	inbound.Direction, inbound.Facts.Direction = "inbound", enforce.Inbound
	inbound.Sender, inbound.Facts.Found = mailbox(t, "\"o'd d\"@partner.example"), enforce.Found{Result: "pass", Signed: true, Chain: "trusted"}
	p := newPast(t,
		sent(t, "one", "bob@partner.example", true, "signed, encrypted", "partner"),
		sent(t, "two", "carl@partner.example", false, "refused", "partner"), inbound,
		sent(t, "four", "dave@partner.example", false, history.AtRCPT, "partner"))
	out, _ := p.run(exitDone, "policy", "replay", "--config", "DIR/config.toml", "--write-cases", "DIR/cases.toml", "DIR/config.toml")
	if !strings.Contains(out, "3 cases written") {
		t.Error(out)
	}
	if out, _ = p.run(exitDone, "policy", "test", "--config", "DIR/config.toml", "DIR/cases.toml"); !regexp.MustCompile(`^3 cases, 0 failed\n$`).MatchString(out) {
		cases, err := os.ReadFile(filepath.Join(p.dir, "cases.toml"))
		t.Errorf("%s\n%s%v", out, cases, err)
	}
	p.write("new.toml", strings.Replace(pastRules, `encrypt = "require"`, `encrypt = "prefer"`, 1))
	if out, _ = p.run(exitNegative, "policy", "test", "--config", "DIR/new.toml", "DIR/cases.toml"); !strings.Contains(out, "two of 2026-03-01: carl@partner.example: signed, expected refused by partner") &&
		!strings.Contains(out, "carl@partner.example: signed by partner, expected refused by partner") {
		t.Error(out)
	}
	p.run(exitUnusable, "policy", "replay", "--config", "DIR/config.toml", "--write-cases", "DIR/cases.toml", "DIR/config.toml")
}
