package enforce

import (
	"fmt"
	"testing"

	"github.com/smimerelay/smimerelay/internal/address"
)

func TestDemands(t *testing.T) {
	p, err := Compile([]Rule{
		{Name: "energy", Line: 1, Direction: "inbound", Sender: []string{"energy.example"}, Profile: "edi"},
		{Name: "board", Line: 5, Direction: "inbound", Recipient: []string{"ceo@own.example"}, Profile: "strong"},
		{Name: "outwards", Direction: "outbound", Sign: "never", Encrypt: "never", Profile: "other"},
		{Name: "default", Line: 9, Sign: "never", Encrypt: "never"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ sender, from, to, want string }{
		{"a@x.example", "a@x.example", "bob@own.example", "[[{default 9 default}]]"},
		{"a@energy.example", "a@energy.example", "bob@own.example", "[[{energy 1 edi}]]"},
		{"bounce@list.example", "a@energy.example", "bob@own.example", "[[{default 9 default} {energy 1 edi}]]"},
		{"", "a@energy.example", "bob@own.example", "[[{default 9 default} {energy 1 edi}]]"},
		{"a@energy.example", "ceo@x.example", "ceo@own.example", "[[{energy 1 edi} {board 5 strong}]]"},
	} {
		f := Facts{Direction: Inbound, From: []address.Address{mustParse(t, tt.from)},
			Recipients: []RecipientFacts{{Address: mustParse(t, tt.to)}}}
		if tt.sender != "" {
			f.Sender = mustParse(t, tt.sender)
		}
		if got := fmt.Sprint(p.Demands(f)); got != tt.want {
			t.Errorf("%+v: %s", tt, got)
		}
	}
}
