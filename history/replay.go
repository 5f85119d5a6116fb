package history

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/smime/address"
)

// Rules are those that are tried on the messages of the history.
type Rules struct {
	Policy   *enforce.Policy
	Inbound  *enforce.InboundPolicy
	Partners *enforce.Partners
}

// Replay is what rules would have done with the messages of the history.
type Replay struct {
	// Messages and Recipients are how many there were, in a direction each.
	Messages   int `json:"messages"`
	Recipients int `json:"recipients"`
	// Unchanged would have been treated as they were, Changed not. Undecided are those
	// that no rule decided on, such as messages that were malformed.
	Unchanged int `json:"unchanged"`
	Changed   int `json:"changed"`
	Undecided int `json:"undecided"`
	// Unknown are those of whom it is not known, by what the history lacks.
	Unknown     int           `json:"unknown"`
	UnknownFor  []LackedCount `json:"unknown_for"`
	Counts      []ChangeCount `json:"counts"`
	Differences []Difference  `json:"differences"`
	// DifferencesOmitted is how many differences are not among Differences.
	DifferencesOmitted int `json:"differences_omitted,omitempty"`
}

// LackedCount is for how many recipients the history lacks something.
type LackedCount struct {
	Lacks  string `json:"lacks"`
	Number int    `json:"number"`
}

// ChangeCount is how many recipients would be treated by a rule in another way than they
// were.
type ChangeCount struct {
	Rule   string `json:"rule"` // the one that decides now
	Before string `json:"before"`
	After  string `json:"after"`
	Number int    `json:"number"`
}

// Difference is one recipient who would be treated in another way.
type Difference struct {
	Time       time.Time       `json:"time"`
	ID         string          `json:"id"`
	MessageID  string          `json:"message_id,omitempty"`
	Direction  string          `json:"direction"`
	Sender     address.Address `json:"sender"`
	Recipient  address.Address `json:"recipient"`
	Before     string          `json:"before"`
	RuleBefore string          `json:"rule_before,omitempty"`
	After      string          `json:"after"`
	RuleAfter  string          `json:"rule_after,omitempty"`
	Reason     string          `json:"reason,omitempty"`
}

// Replay tries rules on what came from since to before until. At most so many differences
// are kept. Nothing is looked up: what the rules ask and the history does not have is
// unknown.
func (s *Store) Replay(ctx context.Context, r Rules, since, until time.Time, most int) (*Replay, error) {
	t := &trial{rules: r, most: most, lacked: map[string]int{}, counts: map[ChangeCount]int{}}
	t.Differences = []Difference{}
	if err := s.Decisions(ctx, since, until, func(rows []Row) error {
		t.message(rows)
		return ctx.Err()
	}); err != nil {
		return nil, err
	}
	return t.done(), nil
}

// trial is a replay that is under way.
type trial struct {
	Replay
	rules  Rules
	most   int
	lacked map[string]int
	counts map[ChangeCount]int
}

// verdict is what the rules would do for a row.
type verdict struct {
	rule, treatment, reason string
	lacks                   []string
}

// message tries the rules on a message.
func (t *trial) message(rows []Row) {
	t.Messages++
	var decided []Row
	for _, r := range rows {
		t.Recipients++
		switch {
		case r.Facts == nil || r.Decided == "":
			t.Undecided++
		case r.Decided == AtRCPT:
			t.compare(r, t.atRCPT(r))
		default:
			decided = append(decided, r)
		}
	}
	if len(decided) == 0 {
		return
	}
	verdicts := t.decide(t.facts(decided))
	for i, r := range decided {
		t.compare(r, verdicts[i])
	}
}

// facts are those about all recipients of a message.
func (t *trial) facts(rows []Row) enforce.Facts {
	f := *rows[0].Facts
	f.Recipients = nil
	for _, r := range rows {
		to := r.Facts.Recipients[0]
		to.Partner = t.rules.Partners.Of(to.Address)
		f.Recipients = append(f.Recipients, to)
	}
	return f
}

func (t *trial) decide(f enforce.Facts) []verdict {
	verdicts := make([]verdict, len(f.Recipients))
	if f.Direction == enforce.Inbound {
		replay := t.rules.Inbound.Replay(f)
		for i, d := range replay.Decisions {
			verdicts[i] = verdict{d.Rule, d.Treatment(), cmp.Or(d.Reason, d.Report), replay.Lacks[i]}
		}
		return verdicts
	}
	replay := t.rules.Policy.Replay(f)
	for i, d := range replay.Plan.Treated(len(f.Recipients)) {
		verdicts[i] = verdict{d.Rule, d.Treatment, cmp.Or(d.Reason, d.Report), replay.Lacks[i]}
	}
	return verdicts
}

// atRCPT tries the rules on a recipient who was refused before the message came: that is
// all that is known of it.
func (t *trial) atRCPT(r Row) verdict {
	f := t.facts([]Row{r})
	if refusal, refused := t.rules.Policy.AtRCPT(&f); refused {
		return verdict{rule: refusal.Rule, treatment: AtRCPT, reason: refusal.Reason}
	}
	early := t.rules.Policy.Early(&f)
	if early.Rule == "" {
		return verdict{lacks: []string{"the message: its recipient was refused before it came"}}
	}
	return verdict{rule: early.Rule, treatment: "accepted"}
}

// compare counts what would become of a recipient.
func (t *trial) compare(r Row, v verdict) {
	switch {
	case len(v.lacks) > 0:
		t.Unknown++
		for _, l := range slices.Compact(slices.Sorted(slices.Values(v.lacks))) {
			t.lacked[l]++
		}
		return
	case v.treatment == r.Decided:
		t.Unchanged++
		return
	}
	t.Changed++
	t.counts[ChangeCount{Rule: v.rule, Before: r.Decided, After: v.treatment}]++
	if len(t.Differences) >= t.most {
		t.DifferencesOmitted++
		return
	}
	t.Differences = append(t.Differences, Difference{
		Time: r.Time, ID: r.ID, MessageID: r.MessageID, Direction: r.Direction, Sender: r.Sender, Recipient: r.Recipient,
		Before: r.Decided, RuleBefore: r.Rule, After: v.treatment, RuleAfter: v.rule, Reason: v.reason,
	})
}

// done puts the counts in order, the largest first.
func (t *trial) done() *Replay {
	t.UnknownFor, t.Counts = []LackedCount{}, []ChangeCount{}
	for _, l := range slices.Sorted(maps.Keys(t.lacked)) {
		t.UnknownFor = append(t.UnknownFor, LackedCount{l, t.lacked[l]})
	}
	for c, n := range t.counts {
		c.Number = n
		t.Counts = append(t.Counts, c)
	}
	slices.SortStableFunc(t.UnknownFor, func(a, b LackedCount) int { return cmp.Compare(b.Number, a.Number) })
	slices.SortFunc(t.Counts, func(a, b ChangeCount) int {
		return cmp.Or(cmp.Compare(b.Number, a.Number), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Before, b.Before), cmp.Compare(a.After, b.After))
	})
	return &t.Replay
}
