package returnpath

import (
	"strings"
	"testing"
	"time"
)

// A question is found by the address that it left under, however a server spells it, to the end of
// its last day and no longer.
func TestQuestionIsFoundByItsAddress(t *testing.T) {
	p := newPath(t, 1)
	for _, life := range []time.Duration{0, time.Hour, 14 * 24 * time.Hour, 10 * 365 * 24 * time.Hour} {
		number, until := NewNumber(), now.Add(life)
		a, err := p.Question(number, until)
		if err != nil {
			t.Fatal(err)
		}
		if len(a.Local()) > maxLocal || !plain(a.Local()) || a.Domain() != "gw.example.com" {
			t.Errorf("%s cannot be sent by every server", a)
		}
		for _, spelled := range []string{a.String(), strings.ToLower(a.String()), strings.ToUpper(a.String())} {
			for at, want := range map[time.Time]bool{
				now.Add(-20 * time.Hour): true, now: true, until: true, until.Add(24*time.Hour + clockSkew): false, until.AddDate(1, 0, 0): false,
			} {
				if got, ok := p.ReadQuestion(parse(t, spelled), at); ok != want || ok && got != number {
					t.Errorf("%s, for %v, at %v: %q, %v", spelled, life, at, got, ok)
				}
			}
		}
	}
	if first, second := NewNumber(), NewNumber(); first == second {
		t.Error("two questions have one number")
	}
}

// What the key did not make for a question names none: the addresses of senders do not either,
// nor do those of questions stand for a sender.
func TestNoOtherAddressIsThatOfAQuestion(t *testing.T) {
	p := newPath(t, 1)
	good, err := p.Question("abcdefghijklmnop", now)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(good.Local(), "=")
	with := func(i int, value string) string {
		changed := strings.Split(good.Local(), "=")
		changed[i] = value
		return strings.Join(changed, "=") + "@gw.example.com"
	}
	other, _ := newPath(t, 2).Question("abcdefghijklmnop", now)
	sender, _ := p.Address(parse(t, "bob@partner.example"), now)
	for name, a := range map[string]string{
		"another key": other.String(), "another domain": good.Local() + "@x.example.com",
		"another MAC": with(1, "aaaaaaaaaaaaa"), "a part of the MAC": with(1, parts[1][:5]), "no MAC": with(1, ""),
		"a later day": with(2, stamp(day(now)+1)), "no day": with(2, ""), "a long day": with(2, "aaaaaaaaa"), "no digits": with(2, "???"),
		"another number": with(3, "abcdefghijklmnoq"), "no number": with(3, ""), "more": good.Local() + "=x@gw.example.com",
		"another form": with(0, "smr0"), "a sender's": sender.String(), "a sender's in this form": strings.Replace(sender.String(), "smr0", "smr2", 1),
		"plain": "postmaster@gw.example.com",
	} {
		if got, ok := p.ReadQuestion(parse(t, a), now); ok {
			t.Errorf("%s: %s names %q", name, a, got)
		}
	}
	if _, err := p.Read(good, now); err == nil || p.Claims(good) {
		t.Errorf("%s stands for a sender", good)
	}
}
