package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"github.com/smimerelay/smimerelay/console/access"
	"github.com/smimerelay/smimerelay/internal/testing/configtest"
)

// reading are the verbs that are not in changing: they change nothing of a gateway, or record
// themselves what they change.
var reading = []string{
	"serve", "check", "doctor", "init", "explain", "trace", "policy test", "policy replay", "ca show", "ca export",
	"enrol list", "enrol show", "route test", "queue list", "queue show", "queue stats", "queue held", "user list",
	"console account add", "console account list", "console account passwd", "console account role", "console account totp",
	"console account link", "console account unlock", "console account remove", "console token add", "console token list", "console token remove",
	"audit list", "audit verify", "health", "demo", "verify", "decrypt", "sign", "encrypt", "trust list", "trust show", "trust update",
	"cert list", "cert show", "cert expiring", "cert check", "cert lookup", "cert zone", "version", "help", "completion",
}

// TestEachVerbIsAudited: each verb is known to change something or not, and those that do say which
// configuration they use.
func TestEachVerbIsAudited(t *testing.T) {
	k, err := parser(&cli{}, &app{stdout: io.Discard, stderr: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, verb := range reading {
		known[verb] = true
	}
	var walk func(n *kong.Node)
	walk = func(n *kong.Node) {
		for _, child := range n.Children {
			walk(child)
		}
		if len(n.Children) > 0 {
			return
		}
		verb := strings.TrimPrefix(n.Path(), "smimerelay ")
		action := changing[verb]
		if known[verb] == (action != "") {
			t.Errorf("%q is to be in changing, or in reading", verb)
		}
		hasConfig := false
		for _, flags := range n.AllFlags(false) {
			for _, f := range flags {
				hasConfig = hasConfig || f.Name == "config"
			}
		}
		if action != "" && !hasConfig {
			t.Errorf("%q names no configuration", verb)
		}
	}
	walk(k.Model.Node)
}

// TestHostAudit: what commands change is in the audit log, before it is done, with who and where
// from, and without secrets; also what failed, and while no gateway runs.
func TestHostAudit(t *testing.T) {
	dir := makePKI(t)
	t.Setenv("SUDO_USER", "erin")
	text := configtest.Elsewhere("hostname = \"gw.example.org\"\ndomains = [\"example.org\"]\n[store]\nurl = \"store.db\"\n[auth]\nusers_file = \"users\"\n", dir)
	file := filepath.Join(dir, "gw.toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs strings.Builder
	do := func(args ...string) int {
		t.Helper()
		out.Reset()
		errs.Reset()
		return run(append(args, "--config", file), &app{stdin: strings.NewReader("a long password of a user\n"), stdout: &out, stderr: &errs, clock: time.Now})
	}
	if status := do("user", "add", "alice"); status != exitDone {
		t.Fatal(status, errs.String())
	}
	if status := do("user", "remove", "bob"); status == exitDone {
		t.Fatal("bob was there")
	}
	if status := do("user", "list"); status != exitDone {
		t.Fatal(errs.String())
	}
	if status := do("cert", "block", "--note", "laptop stolen", strings.Repeat("ab", 32)); status == exitDone {
		t.Fatal("it was there")
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	s, err := access.Open(t.Context(), access.Config{Path: filepath.Join(dir, "console.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	entries, err := s.Audit(t.Context(), access.AuditQuery{Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		if e.Actor != (access.Actor{Name: "erin", From: host, Via: "command line"}) {
			t.Errorf("%+v", e.Actor)
		}
		failed := ""
		if e.Failed != "" {
			failed = " failed"
		}
		got = append(got, e.Action+" "+e.Object+" "+e.Reason+failed)
	}
	digits := strings.Repeat("ab", 32)
	want := []string{
		"certificate.block " + digits + " laptop stolen failed", "certificate.block " + digits + " laptop stolen",
		"user.remove bob  failed", "user.remove bob ", "user.add alice ",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("audit log:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	// Without the log nothing is changed.
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "console.db"), []byte("no database at all, but a text"), 0o600); err != nil {
		t.Fatal(err)
	}
	if status := do("user", "remove", "alice"); status != exitUnusable || !strings.Contains(errs.String(), "nothing was changed") {
		t.Error(status, errs.String())
	}
	if do("user", "list"); !strings.Contains(out.String(), "alice") {
		t.Error("alice is gone")
	}
}
