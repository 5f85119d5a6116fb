package setup

import (
	"bufio"
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/smimerelay/smimerelay/service"
)

// TestWaysAreThoseOfTheManual: the lines that init writes are those that README.md shows and
// that the whole-system tests run.
func TestWaysAreThoseOfTheManual(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, way := range []string{"filter", "milter", "relay"} {
		for _, kind := range []string{"main.cf", "master.cf", "toml"} {
			_, want, found := strings.Cut(string(readme), "\n```"+kind+" "+way+"\n")
			want, _, _ = strings.Cut(want, "```")
			a := Answers{Way: way}
			if diff := cmp.Diff(want, a.block(kind)); found && diff != "" {
				t.Errorf("ways/%s.%s is not what README.md shows:\n%s", way, kind, diff)
			}
		}
	}
}

// TestConfigurations: each way in with each recipe is a configuration without problems.
func TestConfigurations(t *testing.T) {
	sets := usable()
	if len(sets) < 20 {
		t.Fatalf("%d rule sets", len(sets))
	}
	dir := t.TempDir()
	password := filepath.Join(dir, "password")
	if err := os.WriteFile(password, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for i, r := range sets {
		a := Answers{
			Domains: []string{"corp.example", "corp.test"}, Hostname: "gw.corp.example", Way: []string{"filter", "milter", "relay"}[i%3], Rules: r.name,
			LDAP: "ldaps://dc.corp.example", Base: "dc=corp", BindDN: "cn=gw", PasswordFile: password, NextHop: "127.0.0.1:1", State: dir,
			Authority: "http://pki.corp.example/smime/", Organization: "Corp", Country: "DE", Public: "no",
		}
		text, err := a.Config(nil)
		if err != nil {
			t.Errorf("%s: %v", r.name, err)
			continue
		}
		path := filepath.Join(dir, r.name+".toml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(text, "example.org") {
			t.Errorf("%s: the domain of the manual is in it:\n%s", r.name, text)
		}
		parts, problems := service.Load(path, time.Now, slog.New(slog.DiscardHandler))
		if len(problems) > 0 {
			t.Errorf("%s: %v", r.name, problems)
			continue
		}
		if err := parts.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestComplete is a conversation: what was given is not asked, what is not understood is
// asked again, and an empty line takes what stands in brackets.
func TestComplete(t *testing.T) {
	var out bytes.Buffer
	k := Asker{In: bufio.NewReader(strings.NewReader("example.com example.net\n\nfilter?\nmilter\nldaps://dc.example.com\n\ndc=example\n\nbob@example.org\nno\n\nopportunistic\n")), Out: &out}
	a := Answers{Public: ""}
	if err := k.Complete(&a, "gw.example.com", "filter"); err != nil {
		t.Fatal(err, out.String())
	}
	want := Answers{
		Domains: []string{"example.com", "example.net"}, Hostname: "gw.example.com", Way: "milter", LDAP: "ldaps://dc.example.com", Base: "dc=example",
		Test: "bob@example.org", Public: "no", Authority: "none", Rules: "opportunistic",
	}
	if diff := cmp.Diff(want, a); diff != "" {
		t.Errorf("%s\n%s", diff, out.String())
	}
	if missing := a.Missing(); len(missing) > 0 {
		t.Errorf("missing: %q", missing)
	}
	if strings.Count(out.String(), "How mail gets here") != 2 || !strings.Contains(out.String(), "[gw.example.com]: ") {
		t.Error(out.String())
	}
	ended := Asker{In: bufio.NewReader(strings.NewReader("example.com\n")), Out: &out}
	if err := ended.Complete(&Answers{}, "", "filter"); err == nil {
		t.Error("an input that ended is taken for answers")
	}
}

// TestFill: what was given comes before the file.
func TestFill(t *testing.T) {
	a := Answers{Way: "relay", State: "/var/lib/smimerelay"}
	a.Fill(Answers{Way: "filter", Rules: "sign-all", State: "/srv"})
	if diff := cmp.Diff(Answers{Way: "relay", Rules: "sign-all", State: "/srv"}, a); diff != "" {
		t.Error(diff)
	}
}
