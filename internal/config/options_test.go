package config

import "testing"

func TestOptions(t *testing.T) {
	c, problems := Parse("config.toml", []byte("hostname = \"gw.example.org\"\n[limits]\nconnections = 7\n[[rule]]\nname = \"partners\"\nrecipient = [\"@example.net\"]\nencrypt = \"require\"\n[[rule]]\nname = \"default\"\n"))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	byKey := map[string]Option{}
	for _, o := range c.Options() {
		if _, twice := byKey[o.Key]; twice || o.Value == "" || o.Doc == "" {
			t.Errorf("option %+v", o)
		}
		byKey[o.Key] = o
	}
	for key, want := range map[string]Option{
		"hostname":                {Value: `"gw.example.org"`, Default: `""`, Line: 1},
		"limits.connections":      {Value: "7", Default: "200", Line: 3},
		"limits.recipients":       {Value: "1000", Default: "1000"},
		"rule[0].recipient":       {Value: `["@example.net"]`, Line: 6},
		"rule[1].name":            {Value: `"default"`, Line: 9},
		"profile.pqc.digest":      {Value: `"sha-512"`, Default: `"sha-512"`},
		"console.session_idle":    {Value: `"30m"`, Default: `"30m"`},
		"directory[0].attributes": {Value: `["userSMIMECertificate", "userCertificate"]`},
		"store.url":               {Value: `"/var/lib/smimerelay/store.db"`, Default: `"/var/lib/smimerelay/store.db"`},
		"expiry.warn_before":      {Value: `["30d", "7d", "1d"]`, Default: `["30d", "7d", "1d"]`},
		"console.address":         {Value: `""`, Default: `""`},
	} {
		got := byKey[key]
		if got.Value != want.Value || got.Default != want.Default || got.Line != want.Line {
			t.Errorf("%s: %+v, want %+v", key, got, want)
		}
	}
}
