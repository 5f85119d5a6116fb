package main

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"

	"github.com/smimerelay/smimerelay/internal/config"
)

var update = flag.Bool("update", false, "write the manual page again")

const manualFile = "../../docs/smimerelay.1"

// TestManualPage keeps the manual page what the command line says.
func TestManualPage(t *testing.T) {
	k, err := parser(&cli{}, &app{})
	if err != nil {
		t.Fatal(err)
	}
	want := manual(k)
	if *update {
		if err := os.WriteFile(manualFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(manualFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("docs/smimerelay.1 is not what the command line says; run go test ./cmd/smimerelay -run Manual -update\n%s", diff)
	}
}

// TestEveryVerbHelps wants a summary, details and examples of every verb.
func TestEveryVerbHelps(t *testing.T) {
	k, err := parser(&cli{}, &app{})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range k.Model.Leaves(false) {
		if n.Help == "" {
			t.Errorf("%s: no summary", n.Path())
		}
		if _, ok := n.Target.Addr().Interface().(exampled); !ok && n.Name != "version" {
			t.Errorf("%s: no examples", n.Path())
		}
		for _, f := range n.Flags {
			if f.Help == "" {
				t.Errorf("%s --%s: no help", n.Path(), f.Name)
			}
		}
	}
}

// manual returns the manual page of the command line.
func manual(k *kong.Kong) string {
	m := &roff{}
	m.macro(".TH SMIMERELAY 1 \"\" smimerelay \"User commands\"")
	m.macro(".SH NAME")
	m.text("smimerelay - an S/MIME gateway for mail")
	m.macro(".SH SYNOPSIS")
	for i, n := range k.Model.Leaves(false) {
		if i > 0 {
			m.macro(".br")
		}
		m.macro(".B " + escape(commandPath(n)))
		m.text(strings.TrimSpace(strings.TrimPrefix("smimerelay "+n.Summary(), commandPath(n))))
	}
	m.macro(".SH DESCRIPTION")
	m.text(`smimerelay sits in a mail path, decides for every recipient what S/MIME must do, does it, and never lets a message out in a form that its rules forbid. The verbs serve, check, init, explain and queue are about the gateway; verify, decrypt, sign, encrypt and cert check do the same offline on one message or certificate. Results go to standard output, errors to standard error as one line that says what, where and what to do.`)
	m.macro(".SH COMMANDS")
	for _, n := range k.Model.Leaves(false) {
		m.command(n)
	}
	m.macro(".SH EXIT STATUS")
	for _, s := range [][2]string{
		{"0", "Done; for verify and cert check: pass."},
		{"1", "A negative answer: not valid, not decryptable, refused."},
		{"2", "Usage error or invalid input."},
		{"3", "The message bears no signature (verify only)."},
		{"78", "Bad configuration."},
	} {
		m.item(s[0], s[1])
	}
	m.macro(".SH FILES")
	m.item(config.File, "The configuration. smimerelay init writes it; smimerelay init --example prints a file with every option.")
	m.macro(".SH SIGNALS")
	m.item("SIGHUP", "serve: reload the configuration; if it has a problem, the old one stays in use.")
	m.item("SIGTERM, SIGINT", "serve: finish the messages in progress, then exit.")
	m.macro(".SH SEE ALSO")
	m.text("smimerelay.toml(5), postfix(1), openssl-cms(1), RFC 8551, RFC 8601, RFC 7281")
	return m.String()
}

// roff writes the few macros of man(7) that a page needs.
type roff struct{ strings.Builder }

func (m *roff) macro(line string) { m.WriteString(line + "\n") }

func (m *roff) text(s string) { m.WriteString(escape(s) + "\n") }

func (m *roff) item(term, text string) {
	m.macro(".TP")
	m.macro(".B " + escape(term))
	m.text(text)
}

func (m *roff) command(n *kong.Node) {
	m.macro(".SS " + escape(strings.TrimPrefix(commandPath(n), "smimerelay ")))
	m.text(n.Help)
	for para := range strings.SplitSeq(n.Detail, "\n\n") {
		if para != "" {
			m.macro(".PP")
			m.text(para)
		}
	}
	for _, p := range n.Positional {
		m.item(p.Summary(), valueHelp(p))
	}
	for _, f := range n.Flags {
		if f.Name != "help" {
			m.item(strings.ReplaceAll(f.String(), `""`, "NAME"), valueHelp(f.Value))
		}
	}
	if e, ok := n.Target.Addr().Interface().(exampled); ok {
		m.macro(".PP\n.nf")
		m.WriteString(escape(strings.TrimRight(indent(e.examples()), "\n")) + "\n")
		m.macro(".fi")
	}
}

func commandPath(n *kong.Node) string {
	return "smimerelay " + strings.TrimPrefix(n.Path(), "smimerelay ")
}

// escape keeps text from being taken for requests and escapes.
func escape(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, `"`, `\(dq`).Replace(s)
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, ".") || strings.HasPrefix(l, "'") {
			lines[i] = `\&` + l
		}
	}
	return strings.Join(lines, "\n")
}
