package setup

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Asker asks an administrator at a terminal.
type Asker struct {
	In  *bufio.Reader
	Out io.Writer
}

// errEnded: the terminal was closed, and nothing was written.
var errEnded = errors.New("init: the input ended before all was answered; run it again, or give flags")

// ask prints a question until the answer is acceptable; an empty one is the default.
func (k *Asker) ask(question, standard string, accept func(string) bool) (string, error) {
	for {
		if standard != "" {
			question, _, _ = strings.Cut(question, " [")
			question += " [" + standard + "]"
		}
		if _, err := fmt.Fprintf(k.Out, "%s: ", question); err != nil {
			return "", err
		}
		line, err := k.In.ReadString('\n')
		line = strings.TrimSpace(line)
		if line == "" {
			line = standard
		}
		if accept(line) {
			return line, nil
		}
		if err != nil {
			return "", errEnded
		}
	}
}

func anything(string) bool { return true }

func something(s string) bool { return s != "" }

func oneOf(words ...string) func(string) bool {
	return func(s string) bool { return slices.Contains(words, s) }
}

// Complete asks for what the flags did not answer. way is the one that suits this machine.
func (k *Asker) Complete(a *Answers, hostname, way string) error {
	sets := usable()
	var names []string
	for _, r := range sets {
		names = append(names, r.name)
	}
	lists := []struct {
		into     *string
		skip     func() bool
		question string
		standard string
		accept   func(string) bool
	}{
		{&a.Hostname, never, "Host name of the gateway", hostname, something},
		{&a.Way, never, "How mail gets here: filter (behind Postfix's content_filter), milter, relay (SMTP)", way, oneOf("filter", "milter", "relay")},
		{&a.NextHop, func() bool { return a.Way != "relay" }, "Server to which the gateway delivers, host:port", "", something},
		{&a.LDAP, never, "LDAP server with recipients' certificates, such as ldaps://dc.example.com", "none", something},
		{&a.Base, func() bool { return !given(a.LDAP) }, "Base DN of searches", "", something},
		{&a.BindDN, func() bool { return !given(a.LDAP) }, "DN to bind as (empty: anonymous)", "", anything},
		{&a.PasswordFile, func() bool { return a.BindDN == "" }, "File with its password", "", something},
		{&a.Test, func() bool { return !given(a.LDAP) }, "A recipient to look up as a test (empty: none)", "", anything},
		{&a.Public, never, "Trust the public authorities that Mozilla trusts for mail, yes or no", "yes", oneOf("yes", "no")},
		{&a.Authority, never, "URL below which partners fetch the CRLs of a CA of your own, such as http://pki.example.com/smime/", "none", something},
		{&a.Organization, func() bool { return !given(a.Authority) }, "Name of your organization", "", something},
		{&a.Country, func() bool { return !given(a.Authority) }, "Country, two capital letters", "", something},
		{&a.Rules, never, "Rules, by name", "sign-where-possible", oneOf(names...)},
	}
	if len(a.Domains) == 0 {
		text, err := k.ask("Local domains, with blanks between them", "", something)
		if err != nil {
			return err
		}
		a.Domains = strings.Fields(text)
	}
	for _, q := range lists {
		if *q.into != "" || q.skip() {
			continue
		}
		if q.into == &a.Rules {
			for _, r := range sets {
				fmt.Fprintf(k.Out, "  %-24s %s\n", r.name, r.title)
			}
		}
		answer, err := k.ask(q.question, q.standard, q.accept)
		if err != nil {
			return err
		}
		*q.into = answer
	}
	return nil
}

func never() bool { return false }
