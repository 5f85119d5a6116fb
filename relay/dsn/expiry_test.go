package dsn

import (
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/message"
)

func sampleExpiry(t *testing.T) Expiry {
	now := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	return Expiry{
		ID: "e1", Hostname: "gw.example.org", Now: now,
		From: parse(t, "postmaster@example.org"), To: parse(t, "alice@example.org"),
		Identities: []Expiring{{
			Addresses: []address.Address{parse(t, "alice@example.org"), parse(t, "a.smith@example.org")},
			Subject:   "CN=Alice Smith", Issuer: "CN=Mail CA", Fingerprint: "0a1b2c",
			Ends: now.Add(7*24*time.Hour + time.Hour),
		}},
	}
}

// expiryText builds a notice, wants it 7-bit and in short lines, and returns
// what people read.
func expiryText(t *testing.T, e Expiry) (*message.Message, string) {
	t.Helper()
	m, err := BuildExpiry(e)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(string(m.Bytes()), "\r\n") {
		if len(line) > 998 || strings.ContainsAny(line, "\r\n\x00") || strings.ContainsFunc(line, func(r rune) bool { return r > '~' }) {
			t.Errorf("bad line %q", line)
		}
	}
	part := m.Root()
	if part.Multipart() {
		part = part.Children[0]
	}
	text, err := part.Decode()
	if err != nil {
		t.Fatal(err)
	}
	return m, string(text)
}

func TestExpiryNotice(t *testing.T) {
	for _, language := range languages() {
		texts, err := ReadTexts(language, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, admin := range []bool{false, true} {
			e := sampleExpiry(t)
			e.Texts, e.ToAdmin, e.More = texts, admin, 12
			m, text := expiryText(t, e)
			if m.Get("To") != "alice@example.org" || m.Get("From") != "Mail gateway <postmaster@example.org>" || m.Get("Auto-Submitted") != "auto-generated" {
				t.Errorf("header:\n%s", m.Bytes())
			}
			for _, want := range []string{"gw.example.org", "alice@example.org, a.smith@example.org", "CN=Alice Smith", "CN=Mail CA", "0a1b2c", "2026-03-08", "7 "} {
				if !strings.Contains(text, want) {
					t.Errorf("%s, to admin %t: lacks %q:\n%s", language, admin, want, text)
				}
			}
			if strings.Contains(text, "12 ") != admin {
				t.Errorf("%s, to admin %t: how many more there are:\n%s", language, admin, text)
			}
		}
	}
}

// A certificate's names are chosen by its issuer.
func TestExpiryNoticeCanNotBeInjectedInto(t *testing.T) {
	texts, err := ReadTexts("", fstest.MapFS{
		"expiry-owner.txt":  {Data: []byte("Subject: {{range .Identities}}{{.Subject}}{{end}}\n\n{{range .Identities}}{{.Issuer}}{{end}}\n")},
		"expiry-owner.html": {Data: []byte("<p>{{range .Identities}}{{.Issuer}}{{end}}</p>\n")},
	})
	if err != nil {
		t.Fatal(err)
	}
	e := sampleExpiry(t)
	e.Texts = texts
	evil := "x\r\nBcc: evil@example.com\r\n\r\n--text-expiry-e1\r\n<script>\x00ü"
	e.Identities[0].Subject, e.Identities[0].Issuer = evil, evil
	m, _ := expiryText(t, e)
	if m.Has("Bcc") || m.Root().MediaType != "multipart/alternative" || len(m.Root().Children) != 2 {
		t.Errorf("injected:\n%s", m.Bytes())
	}
	if html, err := m.Root().Children[1].Decode(); err != nil || strings.Contains(string(html), "<script>") {
		t.Errorf("html %q (%v)", html, err)
	}
}

func TestNoExpiryNoticeToNobody(t *testing.T) {
	e := sampleExpiry(t)
	e.To = address.Null
	if _, err := BuildExpiry(e); err == nil {
		t.Error("a notice to the null address")
	}
	e = sampleExpiry(t)
	e.Identities = nil
	if _, err := BuildExpiry(e); err == nil {
		t.Error("a notice about nothing")
	}
}

// TestExpiryOneDay: one day is a day.
func TestExpiryOneDay(t *testing.T) {
	for language, want := range map[string]string{"en": "(in 1 day)", "de": "(in 1 Tag)"} {
		texts, err := ReadTexts(language, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, admin := range []bool{false, true} {
			e := sampleExpiry(t)
			e.Texts, e.ToAdmin = texts, admin
			e.Identities[0].Ends = e.Now.Add(25 * time.Hour)
			if _, text := expiryText(t, e); !strings.Contains(text, want) {
				t.Errorf("%s, administrator %t: no %q:\n%s", language, admin, want, text)
			}
		}
	}
}
