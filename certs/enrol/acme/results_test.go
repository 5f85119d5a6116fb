package acme

import "testing"

func TestPasses(t *testing.T) {
	servers := []string{"mx.example.org", "Two.example"}
	for value, want := range map[string]bool{
		"mx.example.org; dkim=pass header.d=ca.example":                                                 true,
		"MX.example.org. 1; spf=fail; dkim=pass (ok (really)) header.i=@ca.example header.d=CA.example": true,
		"two.example; dkim=fail header.d=x.example; dkim = pass header.d = \"ca.example\"":              true,
		"(comment) mx.example.org (c); DKIM=PASS HEADER.D=ca.example (c)":                               true,
		"mx.example.org; dkim/1=pass header.d=ca.example":                                               true,
		"other.example; dkim=pass header.d=ca.example":                                                  false,
		"mx.example.org 2; dkim=pass header.d=ca.example":                                               false,
		"mx.example.org; dkim=pass header.d=evil.example":                                               false,
		"mx.example.org; dkim=pass header.i=@ca.example":                                                false,
		"mx.example.org; dkim=pass header.d=ca.example header.d=evil.example":                           false,
		"mx.example.org; dkim=fail header.d=ca.example":                                                 false,
		"mx.example.org; dkim=passed header.d=ca.example":                                               false,
		"mx.example.org; spf=pass smtp.mailfrom=\"; dkim=pass header.d=ca.example\"@evil.example":       false,
		"mx.example.org; spf=pass (; dkim=pass header.d=ca.example)":                                    false,
		"mx.example.org; spf=pass smtp.mailfrom=\"a\\\"; dkim=pass header.d=ca.example\"":               false,
		"mx.example.org; spf=pass smtp.mailfrom=\"x; dkim=pass header.d=ca.example":                     false,
		"mx.example.org; spf=pass (x; dkim=pass header.d=ca.example":                                    false,
		"mx.example.org; spf=pass smtp.mailfrom=x) ; dkim=pass header.d=ca.example":                     false,
		"mx.example.org; spf=pass smtp.mailfrom=x\\ ; dkim=pass header.d=ca.example":                    false,
		"mx.example.org; dkim=pass reason=\"header.d=ca.example\" header.d=evil.example":                false,
		"mx.example.org; none":           false,
		"mx.example.org":                 false,
		"":                               false,
		";dkim=pass header.d=ca.example": false,
	} {
		if got := passes(value, servers, "ca.example"); got != want {
			t.Errorf("%s: %t", value, got)
		}
	}
}
