package main

import (
	"strings"

	"github.com/smimerelay/smimerelay/relay/gateway"
)

// group tells who stands in the place of a group.
func (p *page) group(g gateway.ExplainedGroup) {
	p.line("")
	p.line("%s: a group of %d: %s", g.Group, len(g.Members), strings.Join(g.Members, ", "))
	for _, note := range g.Notes {
		p.line("  note: %s", note)
	}
}

// memberships shows the answers of the directory about the groups that rules name.
func (p *page) memberships(label string, all []gateway.ExplainedMembership) {
	for _, m := range all {
		words := map[string]string{"yes": "is in", "no": "is not in", "unknown": "may be in"}[m.Member]
		p.line("%s%s %s%s", label, words, m.Group, because(m.Reason))
	}
}
