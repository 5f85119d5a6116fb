package path

import (
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/address"
)

// reasons returns the words of reason.go.
func reasons(t *testing.T) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "../reason.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		for _, v := range spec.Values {
			word, err := strconv.Unquote(v.(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			words = append(words, word)
		}
		return false
	})
	slices.Sort(words)
	return words
}

func TestReasonsAreDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../docs/reasons.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\| (\\w+) \\|").FindAllStringSubmatch(string(doc), -1) {
		documented = append(documented, m[1])
		if r := certs.Reason(m[1]).Result(); string(r) != m[2] {
			t.Errorf("%s: documented as %s, is %s", m[1], m[2], r)
		}
	}
	slices.Sort(documented)
	if d := cmp.Diff(reasons(t), documented); d != "" {
		t.Errorf("reasons (-code +docs/reasons.md):\n%s", d)
	}
}

// TestReasonsAreReachable leads a validator to every reason.
func TestReasonsAreReachable(t *testing.T) {
	root := testpki.Must(testpki.NewCA(testpki.Options{Name: "Root", Key: "rsa2048"}))
	now := time.Now()
	// under judges a certificate of an authority made with o.
	under := func(o testpki.Options) reasonCase {
		o.Name = "Sub"
		sub := testpki.Must(root.Intermediate(o))
		id := testpki.Must(sub.Issue(testpki.Leaf{Addresses: []string{"a@x.org"}, NotAfter: now.Add(time.Hour)}))
		return reasonCase{cert: id.Certificate, hints: id.Chain}
	}
	leaf := func(l testpki.Leaf) reasonCase {
		l.Addresses = append(l.Addresses, "a@x.org")
		return reasonCase{cert: testpki.Must(root.Issue(l)).Certificate}
	}
	with := func(c reasonCase, change func(*reasonCase)) reasonCase {
		change(&c)
		return c
	}
	extension := func(id asn1.ObjectIdentifier, value ...byte) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: id, Critical: true, Value: value})
		}
	}
	mazeAuthorities, maze := mesh(20, 10, testpki.Options{})
	forger := testpki.Must(testpki.NewCA(testpki.Options{Name: "Root"}))
	revoked := leaf(testpki.Leaf{})
	revoked.cfg.CRLs = [][]byte{testpki.Must(root.CRL(testpki.CRL{Revoked: []*x509.Certificate{revoked.cert}}))}
	revoked.cfg.Revocation = certs.RevocationRequire
	ed448 := asn1.ObjectIdentifier{1, 3, 101, 113}
	ed448Key := testpki.Must(asn1.Marshal(struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}{pkix.AlgorithmIdentifier{Algorithm: ed448}, asn1.BitString{Bytes: make([]byte, 57), BitLength: 57 * 8}}))
	odd := leaf(testpki.Leaf{})
	odd.cert = withAlgorithm(t, odd.cert, ed448)

	cases := map[certs.Reason]reasonCase{
		certs.Expired:            leaf(testpki.Leaf{NotAfter: now.Add(-time.Minute)}),
		certs.NotYetValid:        leaf(testpki.Leaf{NotBefore: now.Add(time.Minute)}),
		certs.Untrusted:          {cert: testpki.Must(mazeAuthorities[0].Issue(testpki.Leaf{})).Certificate},
		certs.Revoked:            revoked,
		certs.NoRevocationInfo:   with(leaf(testpki.Leaf{}), func(c *reasonCase) { c.cfg.Revocation = certs.RevocationRequire }),
		certs.RevocationUnknown:  with(leaf(testpki.Leaf{CRLs: []string{"http://x.org/list"}}), func(c *reasonCase) { c.cfg.Revocation = certs.RevocationRequire }),
		certs.WrongPurpose:       leaf(testpki.Leaf{KeyUsage: x509.KeyUsageCRLSign}),
		certs.WrongAddress:       with(leaf(testpki.Leaf{}), func(c *reasonCase) { c.address = "b@x.org" }),
		certs.WeakKey:            leaf(testpki.Leaf{Key: "rsa1024"}),
		certs.WeakSignature:      leaf(testpki.Leaf{Signature: x509.SHA1WithRSA}),
		certs.NameConstraint:     under(testpki.Options{ExcludedEmails: []string{"x.org"}}),
		certs.BadSignature:       {cert: testpki.Must(forger.Issue(testpki.Leaf{})).Certificate},
		certs.UnsupportedKey:     leaf(testpki.Leaf{PublicKeyInfo: ed448Key}),
		certs.UnsupportedSigning: odd,
		certs.NotAnAuthority:     under(testpki.Options{Edit: func(c *x509.Certificate) { c.IsCA = false }}),
		certs.PathLength: with(under(testpki.Options{}), func(c *reasonCase) {
			flat := testpki.Must(testpki.NewCA(testpki.Options{Name: "Flat", PathLen: 1}))
			c.cfg.Anchors = []*x509.Certificate{flat.Root}
			sub := testpki.Must(flat.Intermediate(testpki.Options{Name: "Sub"}))
			id := testpki.Must(sub.Issue(testpki.Leaf{}))
			c.cert, c.hints = id.Certificate, id.Chain
		}),
		certs.CriticalExtension: leaf(testpki.Leaf{Edit: extension(asn1.ObjectIdentifier{1, 2, 3}, 5, 0)}),
		certs.PolicyMissing:     with(leaf(testpki.Leaf{}), func(c *reasonCase) { c.cfg.RequirePolicy = true }),
		// A GeneralSubtree with a minimum, which RFC 5280 forbids.
		certs.Malformed: under(testpki.Options{Edit: extension(oidNameConstraints, 0x30, 0x0c, 0xa0, 0x0a, 0x30, 0x08, 0x81, 0x03, 'x', '.', 'y', 0x80, 0x01, 0x01)}),
		certs.Blocked: with(leaf(testpki.Leaf{}), func(c *reasonCase) {
			c.cfg.Exceptions = []Exception{{SHA256: sha256.Sum256(c.cert.Raw)}}
		}),
		certs.TooComplex: {cert: testpki.Must(mazeAuthorities[0].Issue(testpki.Leaf{})).Certificate, hints: maze},
	}
	for _, word := range reasons(t) {
		if word == string(certs.NotApproved) {
			continue // GODEBUG=fips140=only alone leads there: the tests of make fips have it
		}
		c, ok := cases[certs.Reason(word)]
		if !ok {
			t.Errorf("%s: no way leads there", word)
			continue
		}
		if got := c.check(t, root); got.Reason != certs.Reason(word) || got.Detail == "" || got.Result != certs.Reason(word).Result() {
			t.Errorf("%s: got %s %q: %s", word, got.Result, got.Reason, got.Detail)
		}
	}
}

// reasonCase is a certificate with what it is judged by.
type reasonCase struct {
	cfg     Config
	cert    *x509.Certificate
	hints   []*x509.Certificate
	address string
}

func (c reasonCase) check(t *testing.T, root *testpki.CA) certs.Verdict {
	t.Helper()
	if c.cfg.Anchors == nil {
		c.cfg.Anchors = []*x509.Certificate{root.Root}
	}
	r := certs.Request{Purpose: certs.ForSigning, Intermediates: c.hints}
	if c.address != "" {
		r.Addresses = []address.Address{mustAddress(t, c.address)}
	}
	return newValidator(t, c.cfg).Check(t.Context(), c.cert, r)
}

// withAlgorithm returns c as if it were signed with another algorithm.
func withAlgorithm(t *testing.T, c *x509.Certificate, id asn1.ObjectIdentifier) *x509.Certificate {
	t.Helper()
	alg := testpki.Must(asn1.Marshal(pkix.AlgorithmIdentifier{Algorithm: id}))
	var tbs, outer []asn1.RawValue
	if _, err := asn1.Unmarshal(c.RawTBSCertificate, &tbs); err != nil {
		t.Fatal(err)
	}
	if _, err := asn1.Unmarshal(c.Raw, &outer); err != nil {
		t.Fatal(err)
	}
	tbs[2] = asn1.RawValue{FullBytes: alg}
	outer[0], outer[1] = asn1.RawValue{FullBytes: testpki.Must(asn1.Marshal(tbs))}, tbs[2]
	return testpki.Must(x509.ParseCertificate(testpki.Must(asn1.Marshal(outer))))
}
