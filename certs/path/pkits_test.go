package path

import (
	"crypto/x509"
	"encoding/csv"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/file"
	"github.com/smimerelay/smimerelay/internal/testing/corpora"
)

// inapplicable are the subtests of NIST's suite that do not apply, and why.
var inapplicable = map[string]string{
	"4.1.4 Valid DSA Signatures Test4":            "RFC 8551 section 2.2 knows no DSA, and it is not implemented",
	"4.1.5 Valid DSA Parameter Inheritance Test5": "RFC 8551 section 2.2 knows no DSA, and it is not implemented",
}

// pkitsTests are how many tests the sections of NIST's PKITS have: 224. The list of
// what is expected has a row for each set of initial values that a test is to be
// run with (section 4.8 on), and therefore more: 249.
var pkitsTests = map[string]int{
	"4.1": 6, "4.2": 8, "4.3": 11, "4.4": 21, "4.5": 8, "4.6": 17, "4.7": 5, "4.8": 20,
	"4.9": 8, "4.10": 14, "4.11": 11, "4.12": 10, "4.13": 38, "4.14": 35, "4.15": 10, "4.16": 2,
}

const pkitsRows = 249

// wantComplete fails if the list lacks a test.
func wantComplete(t *testing.T, rows [][]string) {
	t.Helper()
	if len(rows) != pkitsRows {
		t.Errorf("%d rows, want %d", len(rows), pkitsRows)
	}
	tests := map[string]map[string]bool{}
	for _, row := range rows {
		number := strings.SplitN(row[0], ".", 4)
		section := number[0] + "." + number[1]
		if tests[section] == nil {
			tests[section] = map[string]bool{}
		}
		tests[section][number[2]] = true
	}
	for section, n := range pkitsTests {
		if len(tests[section]) != n {
			t.Errorf("section %s has %d tests, want %d", section, len(tests[section]), n)
		}
	}
}

// pkitsPolicies are the names of the suite's policies (section 3).
var pkitsPolicies = map[string]string{
	"NIST-test-policy-1": "2.16.840.1.101.3.2.1.48.1",
	"NIST-test-policy-2": "2.16.840.1.101.3.2.1.48.2",
	"NIST-test-policy-3": "2.16.840.1.101.3.2.1.48.3",
	"NIST-test-policy-4": "2.16.840.1.101.3.2.1.48.4",
	"NIST-test-policy-5": "2.16.840.1.101.3.2.1.48.5",
	"NIST-test-policy-6": "2.16.840.1.101.3.2.1.48.6",
}

// pkitsReasons returns the reasons that fit a section of the suite.
func pkitsReasons(test string) []certs.Reason {
	section := strings.Join(strings.SplitN(test, ".", 3)[:2], ".")
	return map[string][]certs.Reason{
		"4.1":  {certs.BadSignature, certs.UnsupportedSigning},
		"4.2":  {certs.Expired, certs.NotYetValid},
		"4.3":  {certs.Untrusted},
		"4.4":  {certs.Revoked, certs.RevocationUnknown, certs.NoRevocationInfo},
		"4.5":  {certs.Revoked, certs.NotAnAuthority},
		"4.6":  {certs.NotAnAuthority, certs.PathLength},
		"4.7":  {certs.NotAnAuthority, certs.RevocationUnknown},
		"4.8":  {certs.PolicyMissing},
		"4.9":  {certs.PolicyMissing},
		"4.10": {certs.PolicyMissing, certs.Malformed},
		"4.11": {certs.PolicyMissing},
		"4.12": {certs.PolicyMissing},
		"4.13": {certs.NameConstraint, certs.Revoked},
		"4.14": {certs.Revoked, certs.RevocationUnknown, certs.NoRevocationInfo},
		"4.15": {certs.Revoked, certs.RevocationUnknown, certs.NoRevocationInfo},
		"4.16": {certs.CriticalExtension},
	}[section]
}

// pkitsTime lies within the validity of the suite.
var pkitsTime = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

func TestCorporaPKITS(t *testing.T) {
	dir := filepath.Join(corpora.Dir(t), "nist-pkits")
	f, err := os.Open(filepath.Join(dir, "pkits_expected.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.Comma, r.LazyQuotes, r.FieldsPerRecord = '\t', true, -1
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	wantComplete(t, rows[1:])
	right, applicable := 0, 0
	for _, row := range rows[1:] {
		if why := inapplicable[row[1]]; why != "" {
			continue
		}
		applicable++
		if pkitsCase(t, dir, row) {
			right++
		}
	}
	if out := len(rows) - 1 - applicable; out != len(inapplicable) {
		t.Errorf("%d rows were left out, want %d", out, len(inapplicable))
	}
	t.Logf("corpora: nist-pkits: %d of %d applicable subtests right, %d do not apply", right, applicable, len(rows)-1-applicable)
}

// pkitsCase runs one row and reports whether the verdict is the expected one.
func pkitsCase(t *testing.T, dir string, row []string) bool {
	title, want := row[1], row[5] == "PASS"
	cfg := Config{
		Clock: func() time.Time { return pkitsTime }, Revocation: certs.RevocationRequire,
		RequirePolicy: row[7] == "true", InhibitPolicyMapping: row[8] == "true", InhibitAnyPolicy: row[9] == "true",
	}
	for name := range strings.SplitSeq(row[6], ",") {
		if oid, err := x509.ParseOID(pkitsPolicies[name]); err == nil {
			cfg.Policies = append(cfg.Policies, oid)
		}
	}
	var chain []*x509.Certificate
	for name := range strings.SplitSeq(row[3], ",") {
		list, err := file.ReadCertificates(filepath.Join(dir, "certs", name+".crt"))
		if err != nil {
			if want {
				t.Errorf("%s: %v", title, err)
			}
			return !want
		}
		chain = append(chain, list...)
	}
	cfg.Anchors, cfg.Intermediates = chain[:1], chain[1:len(chain)-1]
	for name := range strings.SplitSeq(row[4], ",") {
		lists, err := file.ReadCRLs(filepath.Join(dir, "crls", name+".crl"))
		if err != nil {
			t.Errorf("%s: %v", title, err)
			return false
		}
		cfg.CRLs = append(cfg.CRLs, lists...)
	}
	v, err := NewValidator(cfg)
	if err != nil {
		if want {
			t.Errorf("%s: %v", title, err)
		}
		return !want
	}
	got := v.Check(t.Context(), chain[len(chain)-1], certs.Request{Purpose: certs.ForSigning})
	if !want && !slices.Contains(pkitsReasons(row[0]), got.Reason) {
		t.Errorf("%s: refused for the wrong reason, %s: %s", title, got.Reason, got.Detail)
		return false
	}
	if (got.Result == certs.Pass) != want {
		t.Errorf("%s: %s %s: %s; want %s", title, got.Result, got.Reason, got.Detail, row[5])
		return false
	}
	return true
}
