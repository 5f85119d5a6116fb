package uri

import (
	"maps"
	"strings"
	"testing"
)

func TestURI(t *testing.T) {
	const module = "?module-path=/lib/p.so"
	for text, want := range map[string]struct{ path, query map[string]string }{
		"pkcs11:" + module: {},
		"pkcs11:token=The%20Software%20PKCS%2311%20Softtoken;object=my-certificate;type=cert;id=%69%95%3E%5C%F4%BD%EC%91?module-name=softhsm2&pin-source=file:/etc/token_pin": {
			map[string]string{"token": "The Software PKCS#11 Softtoken", "object": "my-certificate", "type": "cert", "id": "\x69\x95\x3e\x5c\xf4\xbd\xec\x91"},
			map[string]string{"module-name": "softhsm2", "pin-source": "file:/etc/token_pin"},
		},
		"PKCS11:manufacturer=Snake%20Oil,%20Inc.;model=1.0;serial=;slot-id=327;slot-description=a;slot-manufacturer=b;library-manufacturer=c;library-description=d;library-version=2.6" + module: {
			map[string]string{"manufacturer": "Snake Oil, Inc.", "model": "1.0", "serial": "", "slot-id": "327", "slot-description": "a",
				"slot-manufacturer": "b", "library-manufacturer": "c", "library-description": "d", "library-version": "2.6"}, nil,
		},
		// What need not be encoded in each component, and what is all the same.
		"pkcs11:token=:[]@!$'()*+,=&-._~%3b%3F%c3%a9" + module + "&x=:[]@!$'()*+,=/?|%26": {
			map[string]string{"token": ":[]@!$'()*+,=&-._~;?é"}, map[string]string{"x": ":[]@!$'()*+,=/?|&"},
		},
		"pkcs11:type=private" + module + "&vendor_x=1": {map[string]string{"type": "private"}, map[string]string{"vendor_x": "1"}},
	} {
		u, err := Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		delete(u.Query, "module-path")
		if !maps.Equal(u.Path, want.path) || !maps.Equal(u.Query, want.query) {
			t.Errorf("%s: %q, %q", text, u.Path, u.Query)
		}
	}
}

func TestBadURI(t *testing.T) {
	const module = "?module-path=/lib/p.so"
	for text, want := range map[string]string{
		"":                                      "pkcs11:",
		"token=x" + module:                      "pkcs11:",
		"file:/x":                               "pkcs11:",
		"pkcs11:token=x":                        "module-path",
		"pkcs11:token=x?module-path=":           "module-path",
		"pkcs11:token" + module:                 "name=value",
		"pkcs11:=x" + module:                    "name=value",
		"pkcs11:token=x;" + module:              "name=value",
		"pkcs11:to/ken=x" + module:              "name=value",
		"pkcs11:token=x;token=x" + module:       "twice",
		"pkcs11:token=a b" + module:             "%20",
		"pkcs11:token=a/b" + module:             "%2F",
		"pkcs11:token=a#b" + module:             "%23",
		"pkcs11:token=é" + module:               "%C3",
		"pkcs11:token=%4" + module:              "percent",
		"pkcs11:token=%4x" + module:             "percent",
		"pkcs11:token=%" + module:               "percent",
		"pkcs11:token=%ff" + module:             "UTF-8",
		"pkcs11:colour=red" + module:            "colour",
		"pkcs11:x-colour=red" + module:          "x-colour",
		"pkcs11:slot-id=one" + module:           "slot-id",
		"pkcs11:slot-id=" + module:              "slot-id",
		"pkcs11:library-version=2." + module:    "library-version",
		"pkcs11:type=public" + module:           "type",
		"pkcs11:type=" + module:                 "type",
		"pkcs11:" + module + "&pin-value=12345": "pin-source=file:",
		"pkcs11:" + module + "&pin-value=12345&pin-source=file:/p": "pin-value",
		"pkcs11:" + module + "&pin-source=|/bin/pin":               "pin-source",
		"pkcs11:" + module + "&pin-source=file:pin":                "pin-source",
		"pkcs11:" + module + "&pin-source=/etc/pin":                "pin-source",
		"pkcs11:" + module + "&pin-source=file://h/pin":            "pin-source",
	} {
		_, err := Parse(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "12345") {
			t.Errorf("%s: the PIN is in %q", text, err)
		}
	}
}

func TestPINFile(t *testing.T) {
	for _, source := range []string{"file:/etc/pin", "file:///etc/pin", "file://localhost/etc/pin"} {
		if path, err := (URI{Query: map[string]string{"pin-source": source}}).PINFile(); err != nil || path != "/etc/pin" {
			t.Errorf("%s: %q, %v", source, path, err)
		}
	}
}

func FuzzURI(f *testing.F) {
	f.Add("pkcs11:token=a%20b;id=%01?module-path=/x&pin-source=file:/y")
	f.Fuzz(func(t *testing.T, text string) {
		u, err := Parse(text)
		if err != nil {
			return
		}
		if u.Name() == "" || u.Query["pin-value"] != "" {
			t.Errorf("%q: %q", text, u)
		}
	})
}
