package publicroots

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// certdata writes the objects of an authority as NSS does.
func certdata(c *x509.Certificate, mail, distrust, trustClass string) string {
	octets := func(name string, b []byte) string {
		var s strings.Builder
		s.WriteString(name + " MULTILINE_OCTAL\n")
		for i, c := range b {
			if i > 0 && i%16 == 0 {
				s.WriteString("\n")
			}
			fmt.Fprintf(&s, `\%03o`, c)
		}
		return s.String() + "\nEND\n"
	}
	if distrust == "" {
		distrust = "CKA_NSS_EMAIL_DISTRUST_AFTER CK_BBOOL CK_FALSE\n"
	} else {
		distrust = octets("CKA_NSS_EMAIL_DISTRUST_AFTER", []byte(distrust))
	}
	name := octets("CKA_ISSUER", c.RawIssuer) + octets("CKA_SERIAL_NUMBER", c.SerialNumber.Bytes())
	return "\n# a comment\nCKA_CLASS CK_OBJECT_CLASS CKO_CERTIFICATE\nCKA_LABEL UTF8 \"x\"\n" + name + octets("CKA_VALUE", c.Raw) + distrust +
		"\nCKA_CLASS CK_OBJECT_CLASS " + trustClass + "\n" + name + "CKA_TRUST_SERVER_AUTH CK_TRUST CKT_NSS_TRUSTED_DELEGATOR\nCKA_TRUST_EMAIL_PROTECTION CK_TRUST " + mail + "\n"
}

func TestParse(t *testing.T) {
	var roots []*x509.Certificate
	for range 4 {
		roots = append(roots, testpki.Must(testpki.NewCA(testpki.Options{})).Root)
	}
	text := "BEGINDATA\n" +
		certdata(roots[0], "CKT_NSS_TRUSTED_DELEGATOR", "", "CKO_NSS_TRUST") +
		certdata(roots[1], "CKT_NSS_TRUSTED_DELEGATOR", "250301000000Z", "CKO_TRUST") +
		certdata(roots[2], "CKT_NSS_MUST_VERIFY_TRUST", "", "CKO_NSS_TRUST") +
		certdata(roots[3], "CKT_NSS_NOT_TRUSTED", "", "CKO_NSS_TRUST")
	date := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	l, err := Parse([]byte(text), "test", date)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]time.Time{}
	for _, r := range l.Roots {
		found[string(r.Certificate.Raw)] = r.DistrustAfter
	}
	if len(found) != 2 || !found[string(roots[0].Raw)].IsZero() || !found[string(roots[1].Raw)].Equal(time.Date(2025, 3, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("%d roots: %v", len(found), l.Roots)
	}
	var b bytes.Buffer
	if err := l.Write(&b); err != nil {
		t.Fatal(err)
	}
	again, err := Read(b.Bytes())
	if err != nil || again.Source != "test" || !again.Date.Equal(date) || again.SHA256 != l.SHA256 || len(again.Roots) != 2 {
		t.Fatalf("%+v, %v", again, err)
	}
	for i, r := range again.Roots {
		if !r.Certificate.Equal(l.Roots[i].Certificate) || !r.DistrustAfter.Equal(l.Roots[i].DistrustAfter) {
			t.Errorf("root %d: %+v", i, r)
		}
	}
}

func TestBrokenFiles(t *testing.T) {
	root := testpki.Must(testpki.NewCA(testpki.Options{})).Root
	good := certdata(root, "CKT_NSS_TRUSTED_DELEGATOR", "", "CKO_NSS_TRUST")
	for name, text := range map[string]string{
		"empty":           "",
		"no class":        "CKA_LABEL UTF8 \"x\"\n",
		"no end":          strings.TrimSuffix(good[:strings.Index(good, "END")], "\n"),
		"not octal":       strings.Replace(good, `\060`, `\999`, 1),
		"no certificate":  strings.Replace(good, "CKA_VALUE", "CKA_OTHER", 1),
		"odd distrust":    certdata(root, "CKT_NSS_TRUSTED_DELEGATOR", "tomorrow", "CKO_NSS_TRUST"),
		"none is trusted": certdata(root, "CKT_NSS_MUST_VERIFY_TRUST", "", "CKO_NSS_TRUST"),
	} {
		if l, err := Parse([]byte(text), "test", time.Time{}); err == nil {
			t.Errorf("%s: %d roots", name, len(l.Roots))
		}
	}
	for name, text := range map[string]string{"empty": "", "certificates alone": string(testpki.EncodeCertificates(root)), "a head alone": string(mozilla[:bytes.Index(mozilla, []byte("-----END"))]) + "-----END PUBLIC ROOTS-----\n"} {
		if _, err := Read([]byte(text)); err == nil {
			t.Errorf("%s: is a list", name)
		}
	}
}

// The list inside the program can be read, is of authorities, and says where it is from.
func TestMozilla(t *testing.T) {
	l, err := Mozilla()
	if err != nil {
		t.Fatal(err)
	}
	if len(l.Roots) < 50 || l.Source == "" || l.Date.Year() < 2023 {
		t.Errorf("%d roots of %q, %v", len(l.Roots), l.Source, l.Date)
	}
	limited := 0
	for _, r := range l.Roots {
		if !r.DistrustAfter.IsZero() {
			limited++
		}
	}
	if limited == 0 {
		t.Error("no authority has a date of distrust")
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(certdata(testpki.Must(testpki.NewCA(testpki.Options{})).Root, "CKT_NSS_TRUSTED_DELEGATOR", "250301000000Z", "CKO_NSS_TRUST")))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := Parse(data, "x", time.Time{})
		if err != nil {
			return
		}
		var b bytes.Buffer
		if err := l.Write(&b); err != nil {
			t.Fatal(err)
		}
		if again, err := Read(b.Bytes()); err != nil || len(again.Roots) != len(l.Roots) {
			t.Fatalf("%v", err)
		}
	})
}
