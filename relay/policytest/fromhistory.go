package policytest

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/history"
	"github.com/smimerelay/smimerelay/smime/address"
)

// FromHistory makes a case of a message of the history, with all its rows in one direction:
// that its recipients are treated as they were. ok is false where a case cannot say what
// was known of the message. It has neither header nor text.
func FromHistory(rows []history.Row) (c Case, ok bool) {
	for _, r := range rows {
		if r.Facts == nil || r.Decided == "" || r.Decided == history.AtRCPT || !sayable(r.Facts) {
			return Case{}, false
		}
	}
	first := rows[0]
	f := first.Facts
	c = Case{
		Name: fmt.Sprintf("%s of %s", first.ID, first.Time.Format("2006-01-02")), From: sender(first.Sender),
		User: first.User, Client: first.Client, Listener: first.Listener,
		Groups: map[string][]string{}, Expect: map[string]string{},
	}
	if len(f.From) == 1 && !f.From[0].Equal(first.Sender, address.ExactCase) {
		c.Author = f.From[0].String()
	}
	if first.Direction == string(enforce.Inbound) {
		c.Found = foundIn(&f.Found)
	} else {
		c.Identities = []string{}
		if f.Identity == enforce.Available && len(f.From) == 1 {
			c.Identities = append(c.Identities, f.From[0].String())
		}
		c.inGroups(f.SenderGroups, first.Sender)
	}
	for _, r := range rows {
		c.recipient(r)
	}
	return c, true
}

// sayable reports whether a case can say what the facts do.
func sayable(f *enforce.Facts) bool {
	to, m := f.Recipients[0], f.Content
	return len(f.From) == 1 && len(f.Identities)+len(f.Further)+len(f.AuthorGroups)+len(to.Through)+f.Others == 0 && to.DomainOf == "" &&
		!m.Calendar && !m.Signed && !m.Encrypted && !m.Exempt && !m.Report && m.Doubt == "" && f.Triggers == (enforce.Triggers{}) &&
		!f.Released && (f.Identity != enforce.Unknown || f.Direction == enforce.Inbound)
}

func sender(a address.Address) string {
	if a.IsNull() {
		return "<>"
	}
	return a.String()
}

// recipient adds a recipient with what was known of it, and how it was treated.
func (c *Case) recipient(r history.Row) {
	to, name := r.Facts.Recipients[0], r.Recipient.String()
	if to.Hidden {
		c.Bcc = append(c.Bcc, name)
	} else {
		c.To = append(c.To, name)
	}
	switch {
	case to.Certificate.State == enforce.Available:
		c.Certificates = append(c.Certificates, name)
	case to.Certificate.State == enforce.Unknown && to.Certificate.Reason != "":
		c.Unknown = append(c.Unknown, name)
	}
	c.inGroups(to.Groups, r.Recipient)
	c.Expect[name] = r.Decided
	if r.Rule != "" {
		c.Expect[name] += " by " + r.Rule
	}
}

// inGroups notes the groups that an address is in.
func (c *Case) inGroups(known map[string]enforce.MembershipFacts, who address.Address) {
	for _, name := range slices.Sorted(maps.Keys(known)) {
		switch known[name].State {
		case enforce.Member:
			c.Groups[name] = append(c.Groups[name], who.String())
		case enforce.MemberUnknown:
			if !slices.Contains(c.UnknownGroups, name) {
				c.UnknownGroups = append(c.UnknownGroups, name)
			}
		}
	}
}

func foundIn(f *enforce.Found) *Found {
	found := &Found{
		Result: f.Result, Reason: f.Reason, Chain: f.Chain, Signed: f.Signed, Encrypted: f.Encrypted,
		Algorithms: f.Algorithms, Cipher: f.Cipher,
	}
	for _, s := range f.Signers {
		for _, a := range s.Addresses {
			found.Signers = append(found.Signers, a.String())
		}
	}
	return found
}

// Write writes a case as a [[case]] of a file.
func (c *Case) Write(w io.Writer) error {
	var b strings.Builder
	b.WriteString("[[case]]\n")
	text := func(key, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s = %s\n", key, quoted(value))
		}
	}
	list := func(key string, values []string) {
		if values != nil {
			fmt.Fprintf(&b, "%s = %s\n", key, quotedList(values))
		}
	}
	text("name", c.Name)
	text("from", c.From)
	text("author", c.Author)
	list("to", c.To)
	list("bcc", c.Bcc)
	text("user", c.User)
	text("client", c.Client)
	text("listener", c.Listener)
	list("certificates", c.Certificates)
	list("unknown", c.Unknown)
	list("unknown_groups", c.UnknownGroups)
	list("identities", c.Identities)
	for _, name := range slices.Sorted(maps.Keys(c.Groups)) {
		fmt.Fprintf(&b, "groups.%s = %s\n", quoted(name), quotedList(c.Groups[name]))
	}
	if f := c.Found; f != nil {
		text("found.result", f.Result)
		text("found.reason", f.Reason)
		text("found.chain", f.Chain)
		fmt.Fprintf(&b, "found.signed = %t\nfound.encrypted = %t\n", f.Signed, f.Encrypted)
		list("found.signers", f.Signers)
		list("found.algorithms", f.Algorithms)
		text("found.cipher", f.Cipher)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Expect)) {
		fmt.Fprintf(&b, "expect.%s = %s\n", quoted(name), quoted(c.Expect[name]))
	}
	_, err := io.WriteString(w, b.String()+"\n")
	return err
}

// quoted is a basic string of TOML, which has the escapes of JSON.
func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return `""` // no string is one
	}
	return string(b)
}

func quotedList(values []string) string {
	all := make([]string, len(values))
	for i, v := range values {
		all[i] = quoted(v)
	}
	return "[" + strings.Join(all, ", ") + "]"
}
