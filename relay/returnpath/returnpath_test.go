package returnpath

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/smime/address"
)

var now = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

func newPath(t *testing.T, key byte) *Path {
	t.Helper()
	p, err := New(bytes.Repeat([]byte{key}, KeySize), "gw.example.com")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func parse(t *testing.T, s string) address.Address {
	t.Helper()
	a, err := address.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestAddressStandsForItsSender(t *testing.T) {
	p := newPath(t, 1)
	for _, s := range []string{
		"bob@partner.example", "Bob.B+tag=x@partner.example", `"odd local"@partner.example`, "a!b@partner.example",
		"a%b@partner.example", "jürgen@partner.example", "bob@[192.0.2.1]",
		strings.Repeat("x", 60) + "@partner.example", "x@" + strings.Repeat("a.", 100) + "example",
	} {
		sender := parse(t, s)
		a, err := p.Address(sender, now)
		if err != nil {
			t.Errorf("%s: %v", s, err)
			continue
		}
		if len(a.Local()) > 64 || !a.ASCII() || strings.ContainsAny(a.Local(), `"%!/ `) || a.Domain() != "gw.example.com" {
			t.Errorf("%s: %s", s, a)
		}
		for _, spelled := range []string{a.String(), strings.ToLower(a.String()), strings.ToUpper(a.String())} {
			stands, err := p.Read(parse(t, spelled), now.Add(lifetime-time.Hour))
			if err != nil || !stands.For(sender) || stands.For(parse(t, "mallory@evil.example")) {
				t.Errorf("%s: %s: stands for %v, error %v", s, spelled, stands, err)
			}
		}
	}
	short, _ := p.Address(parse(t, "bob@partner.example"), now)
	if stands, err := p.Read(short, now); err != nil || stands.Sender.String() != "bob@partner.example" {
		t.Errorf("%s: stands for %v, error %v", short, stands.Sender, err)
	}
}

func TestOnlyOwnAddressesAreAccepted(t *testing.T) {
	p := newPath(t, 1)
	good, err := p.Address(parse(t, "bob@partner.example"), now)
	if err != nil {
		t.Fatal(err)
	}
	other, _ := newPath(t, 2).Address(parse(t, "bob@partner.example"), now)
	for _, tt := range []struct {
		name, a string
		at      time.Time
		want    error
	}{
		{"good", good.String(), now, nil},
		{"a day early: the clock of another node", good.String(), now.Add(-20 * time.Hour), nil},
		{"old", good.String(), now.Add(lifetime + 24*time.Hour), errExpired},
		{"years later", good.String(), now.AddDate(3, 0, 0), errExpired},
		{"from the future", good.String(), now.AddDate(0, 0, -3), errExpired},
		{"another key", other.String(), now, errForged},
		{"another sender", strings.Replace(good.String(), "=bob", "=eve", 1), now, errForged},
		{"another form", strings.Replace(good.String(), "smr0=", "smr1=", 1), now, errForged},
		{"cut", "smr0=abc@gw.example.com", now, errForged},
		{"another domain", strings.Replace(good.String(), "gw.", "x.", 1), now, errForged},
		{"no such form", "smr2=a=b=c=d@gw.example.com", now, errForged},
	} {
		if _, err := p.Read(parse(t, tt.a), tt.at); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
	// The day is under the MAC: an old address cannot be made valid again.
	parts := strings.Split(good.String(), "=")
	parts[2] = stamp(day(now) + 10)
	if _, err := p.Read(parse(t, strings.Join(parts, "=")), now.AddDate(0, 0, 10)); !errors.Is(err, errForged) {
		t.Errorf("with another day: %v", err)
	}
}

func TestSeal(t *testing.T) {
	p := newPath(t, 1)
	plain := bytes.Repeat([]byte("who sent it "), 40)
	value := p.Seal(plain)
	if strings.Contains(value, "who") || p.Seal(plain) == value {
		t.Errorf("sealed as %q", value)
	}
	if got, err := p.Open("\r\n " + strings.ReplaceAll(value, " ", "\r\n\t")); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("opened %q, error %v", got, err)
	}
	for _, bad := range []string{"", "x", value[1:], "A" + value[1:] + "A", newPath(t, 2).Seal(plain)} {
		if got, err := p.Open(bad); err == nil {
			t.Errorf("%.20q opened: %q", bad, got)
		}
	}
}

func TestKeyAndDomainAreChecked(t *testing.T) {
	if _, err := New(make([]byte, 16), "gw.example.com"); err == nil {
		t.Error("a short key is taken")
	}
	if _, err := New(make([]byte, KeySize), "no domain"); err == nil {
		t.Error("a domain with a blank is taken")
	}
}
