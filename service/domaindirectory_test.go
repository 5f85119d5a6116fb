package service

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/smimerelay/smimerelay/directory"
	"github.com/smimerelay/smimerelay/smime/address"
)

// What a domain announces in DNS is asked for by the resolvers of [dns], and only for the
// domains of the table; without an answer nothing is known.
func TestDirectoriesFoundInDNS(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.toml")
	const text = `
hostname = "gw.example.org"
[dns]
resolvers = ["127.0.0.1:1"]
[[directory]]
name = "theirs"
type = "ldap-srv"
domains = ["partner.example"]
[[directory]]
name = "records"
type = "dns-cert"
domains = ["partner.example"]
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p, problems := loadElsewhere(t, file)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	defer p.Close()
	for to, want := range map[string]directory.Outcome{"bob@partner.example": directory.Unknown, "bob@other.example": directory.None} {
		a, err := address.Parse(to)
		if err != nil {
			t.Fatal(err)
		}
		r := p.Directory.Lookup(t.Context(), a)
		asked := map[string]bool{}
		for _, answer := range r.Answers {
			asked[answer.Source] = answer.Err != nil
		}
		if r.Outcome != want || want == directory.Unknown && (!asked["ldap-srv:theirs"] || !asked["dns-cert:records"]) {
			t.Errorf("%s: %s, %+v", to, r.Outcome, r.Answers)
		}
	}
}
