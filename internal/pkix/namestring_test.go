package pkix

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"testing"
)

// rawName makes a DER Name, one set of attributes a part.
func rawName(t *testing.T, sets ...[]pkix.AttributeTypeAndValue) []byte {
	t.Helper()
	var seq pkix.RDNSequence
	for _, s := range sets {
		seq = append(seq, s)
	}
	der, err := asn1.Marshal(seq)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func part(id asn1.ObjectIdentifier, value any) []pkix.AttributeTypeAndValue {
	return []pkix.AttributeTypeAndValue{{Type: id, Value: value}}
}

func typed(tag int, text string) asn1.RawValue { return asn1.RawValue{Tag: tag, Bytes: []byte(text)} }

func TestNamesAreWrittenAsPeopleDo(t *testing.T) {
	country, organization, common := asn1.ObjectIdentifier{2, 5, 4, 6}, asn1.ObjectIdentifier{2, 5, 4, 10}, asn1.ObjectIdentifier{2, 5, 4, 3}
	for want, raw := range map[string][]byte{
		"emailAddress=orjan@norrland.example,SN=Åkesson,GN=Örjan,CN=Örjan Åkesson,organizationIdentifier=NTRSE-556000,O=Åkeri AB,C=SE": rawName(t,
			part(country, "SE"), part(organization, "Åkeri AB"), part(asn1.ObjectIdentifier{2, 5, 4, 97}, "NTRSE-556000"),
			part(common, "Örjan Åkesson"), part(asn1.ObjectIdentifier{2, 5, 4, 42}, "Örjan"), part(asn1.ObjectIdentifier{2, 5, 4, 4}, "Åkesson"),
			part(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}, typed(22, "orjan@norrland.example"))),
		"CN=a+serialNumber=7,DC=example": rawName(t, part(asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 25}, "example"),
			append(part(common, "a"), part(asn1.ObjectIdentifier{2, 5, 4, 5}, "7")...)),
		// Written one way only, whatever is in it.
		`CN=\ a\,b\+c\;\<d\>\\\"\ `:    rawName(t, part(common, ` a,b+c;<d>\" `)),
		`CN=\#1`:                       rawName(t, part(common, "#1")),
		`CN=x\0aresult: pass\1b[2J\00`: rawName(t, part(common, typed(12, "x\nresult: pass\x1b[2J\x00"))),
		`CN=a\e2\80\aeb\c2\85`:         rawName(t, part(common, "a\u202eb\u0085")),
		"CN=Mälar":                     rawName(t, part(common, typed(19, "M\xe4lar"))), // Latin-1 in PrintableString
		"CN=é":                         rawName(t, part(common, typed(20, "\xe9"))),     // T61String
		"CN=Ω":                         rawName(t, part(common, typed(30, "\x03\xa9"))), // BMPString
		"CN=😀":                         rawName(t, part(common, typed(28, "\x00\x01\xf6\x00"))),
		"1.3.6.1.4.1.99999.1=text":     rawName(t, part(asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1}, "text")),
		"CN=#1e0141":                   rawName(t, part(common, typed(30, "A"))), // half a character
		"":                             rawName(t),
		"#3005":                        {0x30, 0x05},
	} {
		if got := NameString(raw); got != want {
			t.Errorf("%q\nwant %q", got, want)
		}
	}
	// A number of 128 bits, as in object identifiers that are made of UUIDs.
	big := []byte{0x30, 0x1f, 0x31, 0x1d, 0x30, 0x1b, 0x06, 0x14, 0x69, 0x83, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8b, 0x8c, 0x8d, 0x8e, 0x8f, 0x90, 0x91, 0x01, 0x0c, 0x03, 'a', 'b', 'c'}
	if got := NameString(big); len(got) < 30 || got[:5] != "2.25." || got[len(got)-4:] != "=abc" {
		t.Errorf("large numbers: %q", got)
	}
	bits := rawName(t, part(common, asn1.BitString{Bytes: []byte{0x80, 0}, BitLength: 9}))
	if got := NameString(bits); got != "CN=#0303078000" {
		t.Errorf("what is no text: %q", got)
	}
}
