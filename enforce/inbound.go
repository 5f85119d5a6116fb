package enforce

import (
	"slices"

	"github.com/smimerelay/smimerelay/internal/address"
)

// Demand is a rule whose profile says what an inbound message must come up to.
type Demand struct {
	Rule    string
	Line    int // of the rule in its file; 0 if unknown
	Profile string
}

// Demands returns, for each recipient of an inbound message, the rules that match
// it: once as from the envelope sender, and once as from each author in From. A
// signature speaks for the author; and whoever names another sender in the
// envelope does not get around the rule for that author.
func (p *Policy) Demands(f Facts) [][]Demand {
	senders := append([]address.Address{f.Sender}, f.From...)
	demands := make([][]Demand, len(f.Recipients))
	for i := range f.Recipients {
		for _, s := range senders {
			as := f
			as.Sender = s
			r := p.match(&as, &f.Recipients[i])
			if r == nil {
				continue
			}
			d := Demand{Rule: r.name, Line: r.line, Profile: r.profile}
			if !slices.Contains(demands[i], d) {
				demands[i] = append(demands[i], d)
			}
		}
	}
	return demands
}
