package history

import (
	"context"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/history"
	"github.com/smimerelay/smimerelay/smime/address"
)

// TestFacts: the facts of a decision come back, but for the header, the names of
// attachments and the agreements with partners.
func TestFacts(t *testing.T) {
	each(t, func(t *testing.T, s *history.Store) {
		lookup := enforce.CertificateFacts{State: enforce.Available, Usable: []enforce.Fingerprint{{1, 2}}, Reason: "r"}
		groups := map[string]enforce.MembershipFacts{"a@example.org": {State: enforce.Member, Reason: "x"}}
		alice := addr(t, "alice@example.org")
		want := enforce.Facts{
			Direction: enforce.Outbound, Client: enforce.Client{User: "alice", Addr: netip.MustParseAddr("192.0.2.1"), Listener: "outbound"},
			Sender: alice, From: []address.Address{alice}, Identity: enforce.None, IdentityReason: "expired", IdentityNote: "n",
			Issuable: true, SignForbidden: "f", SignExempt: "e", SignUnknown: "u",
			Content: enforce.Content{Size: 5, Calendar: true, CalendarWhy: "c", Signed: true, Encrypted: true, Doubt: "d",
				TooWeak: map[string]bool{"default": true}, Exempt: true, Report: true},
			Triggers: enforce.Triggers{Sign: true, Guessed: true}, Identities: map[string]enforce.IdentityFacts{"domain": {State: enforce.Available, Note: "n"}},
			Further: map[string]enforce.CertificateFacts{"sender": lookup}, SenderGroups: groups, Others: 3,
			Found: enforce.Found{Result: "pass", Reason: "r", Signed: true, Encrypted: true, Chain: "trusted", Algorithms: []string{"rsa"}, Secret: true,
				Cipher: "aes-256-gcm", Signers: []enforce.FoundSigner{{Addresses: []address.Address{alice}, Fingerprint: enforce.Fingerprint{3}}}},
			Recipients: []enforce.RecipientFacts{{
				Address: addr(t, "bob@example.net"), Internal: true, Hidden: true, Unnamed: true, Certificate: lookup, Domain: lookup, DomainOf: "domain", Reads: enforce.None,
				Groups: groups, Group: enforce.GroupFacts{State: enforce.NoGroup, Asked: true}, Through: []address.Address{alice},
			}},
		}
		stored := want
		stored.Content.Header = map[string][]string{"subject": {"secret words"}}
		stored.Content.Attachments = []enforce.Attachment{{Name: "secret words.pdf"}}
		r := row(t, 1)
		r.Facts, r.Sender, r.Recipient, r.User = &stored, alice, want.Recipients[0].Address, "alice"
		other := row(t, 1)
		other.Recipient = addr(t, "carol@example.net")
		write(t, s, history.Batch{Rows: []history.Row{row(t, 0), r, row(t, 2), other}})
		var messages [][]history.Row
		if err := s.Decisions(context.Background(), begin, begin.Add(2*time.Second), func(rows []history.Row) error {
			messages = append(messages, rows)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if len(messages) != 2 || len(messages[1]) != 2 {
			t.Fatalf("got %+v", messages)
		}
		got := messages[1][0].Facts
		if got == nil || !reflect.DeepEqual(*got, want) {
			t.Errorf("got %+v\nwant %+v", got, want)
		}
		if messages[1][1].Facts != nil {
			t.Error("facts of a row without")
		}
	})
}
