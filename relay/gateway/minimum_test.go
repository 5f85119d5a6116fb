package gateway

import (
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// An inbound rule by the author's domain takes the pass from what is below its
// profile, for the recipients that it names, also where the envelope names
// another sender.
func TestInboundMinimum(t *testing.T) {
	w := newWorld(t)
	w.config.Profiles = map[string]Profile{"strict": {MinimumDigest: "sha-384"}, "mild": {MinimumDigest: "sha-256"}}
	w.config.Policy = testpki.Must(enforce.Compile([]enforce.Rule{
		{Name: "strict", Line: 7, Direction: "inbound", Sender: []string{"enc.example"}, ExceptRecipient: []string{"old@own.example"}, Profile: "strict"},
		{Name: "old", Direction: "inbound", Sender: []string{"enc.example"}, Profile: "mild"},
		{Name: "default", Sign: "never", Encrypt: "never"},
	}))
	w.start()
	for sender, want := range map[string]string{bob: "policy", "list@other.example": "policy", "": "policy"} {
		o, err := w.process(w.envelope("in", sender, "alice@own.example"), w.bobsLetter(""))
		if err != nil {
			t.Fatal(err)
		}
		m := o.Deliveries[0].Message
		if statusWord(m) != want || !strings.Contains(m.Get(statusField), "reason=below-minimum") ||
			!strings.Contains(m.Get(resultsField), "smime=policy") {
			t.Errorf("from %q: %s", sender, m.Get(statusField))
		}
	}
	o, err := w.process(w.envelope("in", bob, "alice@own.example", "old@own.example", "amy@own.example"), w.bobsLetter(""))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, d := range o.Deliveries {
		for _, r := range d.Recipients {
			got[r.Address.Local()] = statusWord(d.Message)
		}
	}
	if len(o.Deliveries) != 2 || got["alice"] != "policy" || got["amy"] != "policy" || got["old"] != "pass" {
		t.Errorf("%d copies: %v", len(o.Deliveries), got)
	}
	x, err := w.gateway.Explain(t.Context(), w.envelope("in", "list@other.example", "alice@own.example"), w.bobsLetter(""))
	if err != nil {
		t.Fatal(err)
	}
	want := []InboundRule{{Rule: "default", Profile: "default"}, {Rule: "strict", Line: 7, Profile: "strict", Minimum: "sha-384"}}
	if len(x.Inbound) != 1 || len(x.Inbound[0].Rules) != 2 || x.Inbound[0].Rules[0] != want[0] || x.Inbound[0].Rules[1] != want[1] || x.Inbound[0].Report.Result != "policy" {
		t.Errorf("explained as %+v", x.Inbound)
	}
}

// The rules of inbound mail may name groups, of its authors and of its
// recipients; where it is unknown, the stricter one counts.
func TestInboundMinimumByGroup(t *testing.T) {
	w, f := groupWorld(t)
	w.config.Profiles = map[string]Profile{"strict": {MinimumDigest: "sha-384"}}
	w.config.Policy = testpki.Must(enforce.Compile([]enforce.Rule{
		{Name: "partners", Direction: "inbound", SenderGroup: []string{"partners@own.example"}, Recipient: []string{"alice@own.example"}, Profile: "strict"},
		{Name: "board", Direction: "inbound", RecipientGroup: []string{"board@own.example"}, Recipient: []string{"amy@own.example"}, Profile: "strict"},
		{Name: "open", Direction: "inbound", RecipientGroup: []string{"open@own.example"}, Recipient: []string{"eve@own.example"}, Profile: "strict"},
		{Name: "default", Sign: "never", Encrypt: "never"},
	}))
	w.start()
	for _, tt := range []struct{ to, partners, board, want string }{
		{"alice@own.example", bob, "", "policy"},
		{"alice@own.example", carol, "", "pass"},
		{"amy@own.example", "", "amy@own.example", "policy"},
		{"amy@own.example", "", carol, "pass"},
		{"eve@own.example", "", "", "policy"},
	} {
		f.members["partners@own.example"], f.members["board@own.example"] = tt.partners, tt.board
		f.errs["open@own.example"] = true
		o, err := w.process(w.envelope("in", "list@other.example", tt.to), w.bobsLetter(""))
		if err != nil {
			t.Fatal(err)
		}
		if got := statusWord(o.Deliveries[0].Message); got != tt.want {
			t.Errorf("%+v: %s", tt, got)
		}
	}
	// Where nothing is asked of inbound mail, the directory is not asked either.
	w.config.Profiles = map[string]Profile{"strict": {Digest: "sha-384"}}
	w.start()
	clear(f.asked)
	if _, err := w.process(w.envelope("in", "list@other.example", "alice@own.example"), w.bobsLetter("")); err != nil || len(f.asked) > 0 {
		t.Errorf("%v, asked %v", err, f.asked)
	}
}
