package revocation

import (
	"bytes"
	"crypto/x509"
	x509pkix "crypto/x509/pkix"
	"io"
	"math/big"
	"os"
	"runtime"
	"testing"
	"testing/iotest"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

func must(t *testing.T, der []byte) *List {
	t.Helper()
	l, err := ParseList(der)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// status asks lists about cert, of which only ca may speak.
func status(lists *Lists, ca *testpki.CA, cert *x509.Certificate) Answer {
	return lists.Status(Question{Cert: cert, Issuer: pkix.NameKey(cert.RawIssuer), At: time.Now(), Verify: func(l *List) bool {
		return l.VerifiedBy(ca.Certificate, false)
	}})
}

func TestParseListFieldsOfEveryAlgorithm(t *testing.T) {
	for _, kind := range []string{"rsa2048", "p256", "p384", "ed25519"} {
		ca := testpki.Must(testpki.NewCA(testpki.Options{Key: kind}))
		id := testpki.Must(ca.Issue(testpki.Leaf{}))
		good := testpki.Must(ca.Issue(testpki.Leaf{}))
		der := testpki.Must(ca.CRL(testpki.CRL{Revoked: []*x509.Certificate{id.Certificate}, Reason: 1, Number: big.NewInt(7)}))
		l, err := ReadList(iotest.OneByteReader(bytes.NewReader(der)), "")
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		if l.Number.Int64() != 7 || l.Len() != 1 || l.Base != nil || l.NextUpdate.Before(time.Now()) {
			t.Errorf("%s: %+v", kind, l)
		}
		if got := status(NewLists(l), ca, id.Certificate); got.Status != Revoked || got.Text == "" {
			t.Errorf("%s: revoked: %+v", kind, got)
		}
		if got := status(NewLists(l), ca, good.Certificate); got.Status != Good || got.NextUpdate.IsZero() {
			t.Errorf("%s: good: %+v", kind, got)
		}
		der[len(der)/2] ^= 1
		if l, err := ParseList(der); err == nil && l.VerifiedBy(ca.Certificate, false) {
			t.Errorf("%s: a changed list verifies", kind)
		}
	}
}

func TestMalformedLists(t *testing.T) {
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	der := testpki.Must(ca.CRL(testpki.CRL{Revoked: []*x509.Certificate{ca.Root}}))
	for n := range len(der) {
		if _, err := ParseList(der[:n]); err == nil {
			t.Fatalf("%d of %d octets are a list", n, len(der))
		}
	}
	if _, err := ParseList(append(bytes.Clone(der), 5)); err == nil {
		t.Error("a list with something behind it was taken")
	}
	if _, err := ReadList(iotest.ErrReader(io.ErrClosedPipe), ""); err == nil {
		t.Error("a failing reader gave a list")
	}
}

func FuzzParseList(f *testing.F) {
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	f.Add(testpki.Must(ca.CRL(testpki.CRL{Revoked: []*x509.Certificate{ca.Root}, Reason: 4})))
	f.Add(testpki.Must(ca.CRL(testpki.CRL{Extensions: []x509pkix.Extension{issuingPointOf("http://x.example/", true)}})))
	f.Fuzz(func(t *testing.T, der []byte) {
		l, err := ParseList(der)
		if err != nil {
			return
		}
		// What crypto/x509 reads too must have as many entries.
		if std, err := x509.ParseRevocationList(der); err == nil && len(std.RevokedCertificateEntries) != l.Len() {
			t.Errorf("%d entries, crypto/x509 finds %d", l.Len(), len(std.RevokedCertificateEntries))
		}
		status(NewLists(l), ca, ca.Root)
	})
}

// largeList returns a list with n entries and the first serial.
func largeList(t testing.TB, ca *testpki.CA, n int) []byte {
	t.Helper()
	entries := make([]x509.RevocationListEntry, n)
	base := new(big.Int).Lsh(big.NewInt(1), 120)
	for i := range entries {
		entries[i] = x509.RevocationListEntry{
			SerialNumber: new(big.Int).Add(base, big.NewInt(int64(i)*7919)), RevocationTime: time.Unix(1700000000, 0),
		}
	}
	return testpki.Must(ca.CRL(testpki.CRL{Entries: entries}))
}

func TestLargeListStaysOutOfMemory(t *testing.T) {
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	const n = 300_000
	der := largeList(t, ca, n)
	serial := new(big.Int).Add(new(big.Int).Lsh(big.NewInt(1), 120), big.NewInt(123_456*7919))
	id := testpki.Must(ca.Issue(testpki.Leaf{Serial: serial}))
	other := testpki.Must(ca.Issue(testpki.Leaf{}))
	dir := t.TempDir()

	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	l, err := ReadList(bytes.NewReader(der), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 1<<20 {
		t.Errorf("a list of %d octets keeps %d in memory", len(der), grown)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 0 {
		t.Errorf("left in the folder: %v, %v", files, err)
	}
	if got := status(NewLists(l), ca, id.Certificate); got.Status != Revoked {
		t.Errorf("revoked: %+v", got)
	}
	if got := status(NewLists(l), ca, other.Certificate); got.Status != Good {
		t.Errorf("good: %+v", got)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if got := status(NewLists(l), ca, other.Certificate); got.Status != Unknown {
		t.Errorf("with the index gone: %+v", got)
	}
}

func BenchmarkReadList(b *testing.B) {
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	der := largeList(b, ca, 300_000)
	dir := b.TempDir()
	b.SetBytes(int64(len(der)))
	for b.Loop() {
		l, err := ReadList(bytes.NewReader(der), dir)
		if err != nil {
			b.Fatal(err)
		}
		l.Close()
	}
}

// distributionPoint encodes a DistributionPointName with an address.
func distributionPoint(b *cryptobyte.Builder, url string) {
	b.AddASN1(contextTag(0).Constructed(), func(b *cryptobyte.Builder) {
		b.AddASN1(contextTag(0).Constructed(), func(b *cryptobyte.Builder) {
			b.AddASN1(contextTag(6), func(b *cryptobyte.Builder) { b.AddBytes([]byte(url)) })
		})
	})
}

// issuingPointOf is an IssuingDistributionPoint for end entities.
func issuingPointOf(url string, indirect bool) x509pkix.Extension {
	var b cryptobyte.Builder
	b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		if url != "" {
			distributionPoint(b, url)
		}
		if indirect {
			b.AddASN1(contextTag(4), func(b *cryptobyte.Builder) { b.AddUint8(0xff) })
		}
	})
	return x509pkix.Extension{Id: oidIssuingPoint, Critical: true, Value: b.BytesOrPanic()}
}

func TestIssuingPointMustMatch(t *testing.T) {
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	here := testpki.Must(ca.Issue(testpki.Leaf{CRLs: []string{"http://a.example/1.crl"}}))
	elsewhere := testpki.Must(ca.Issue(testpki.Leaf{CRLs: []string{"http://a.example/2.crl"}}))
	nowhere := testpki.Must(ca.Issue(testpki.Leaf{}))
	lists := NewLists(must(t, testpki.Must(ca.CRL(testpki.CRL{
		Extensions: []x509pkix.Extension{issuingPointOf("http://a.example/1.crl", false)},
	}))))
	for name, c := range map[string]struct {
		cert *x509.Certificate
		want Status
	}{"here": {here.Certificate, Good}, "elsewhere": {elsewhere.Certificate, Unknown}, "nowhere": {nowhere.Certificate, Unknown}} {
		if got := status(lists, ca, c.cert); got.Status != c.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestDeltaList(t *testing.T) {
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	id := testpki.Must(ca.Issue(testpki.Leaf{}))
	held := testpki.Must(ca.Issue(testpki.Leaf{}))
	full := must(t, testpki.Must(ca.CRL(testpki.CRL{Number: big.NewInt(5), Revoked: []*x509.Certificate{held.Certificate}, Reason: reasonHold})))
	delta := func(base, number int64, c testpki.CRL) *List {
		var b cryptobyte.Builder
		b.AddASN1Int64(base)
		c.Number = big.NewInt(number)
		c.Extensions = []x509pkix.Extension{{Id: oidDeltaIndicator, Critical: true, Value: b.BytesOrPanic()}}
		return must(t, testpki.Must(ca.CRL(c)))
	}
	revokes := testpki.CRL{Revoked: []*x509.Certificate{id.Certificate}, Reason: 1}
	releases := testpki.CRL{Revoked: []*x509.Certificate{held.Certificate}, Reason: reasonRemove}
	for _, c := range []struct {
		name  string
		lists []*List
		cert  *x509.Certificate
		want  Status
	}{
		{"full alone", []*List{full}, id.Certificate, Good},
		{"full alone, held", []*List{full}, held.Certificate, Revoked},
		{"delta alone", []*List{delta(5, 6, revokes)}, id.Certificate, Unknown},
		{"revoked since", []*List{full, delta(5, 6, revokes)}, id.Certificate, Revoked},
		{"released since", []*List{full, delta(4, 6, releases)}, held.Certificate, Good},
		{"newest delta", []*List{full, delta(5, 6, revokes), delta(5, 7, testpki.CRL{})}, id.Certificate, Good},
		{"base too new", []*List{full, delta(6, 7, revokes)}, id.Certificate, Good},
		{"older than full", []*List{full, delta(3, 4, revokes)}, id.Certificate, Good},
	} {
		if got := status(NewLists(c.lists...), ca, c.cert); got.Status != c.want {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

func TestNewestListCounts(t *testing.T) {
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	id := testpki.Must(ca.Issue(testpki.Leaf{}))
	older := must(t, testpki.Must(ca.CRL(testpki.CRL{Number: big.NewInt(1)})))
	newer := must(t, testpki.Must(ca.CRL(testpki.CRL{Number: big.NewInt(2), Revoked: []*x509.Certificate{id.Certificate}})))
	for _, lists := range []*Lists{NewLists(older, newer), NewLists(newer, older)} {
		if got := status(lists, ca, id.Certificate); got.Status != Revoked {
			t.Errorf("%+v", got)
		}
	}
}

func TestListsOfOthersDoNotCount(t *testing.T) {
	ca := testpki.Must(testpki.NewCA(testpki.Options{Name: "A"}))
	b := testpki.Must(testpki.NewCA(testpki.Options{Name: "B"}))
	id := testpki.Must(ca.Issue(testpki.Leaf{}))
	lists := NewLists().WithMessage([][]byte{nil, []byte("x"), testpki.Must(b.CRL(testpki.CRL{}))})
	if got := status(lists, ca, id.Certificate); got.Status != Unknown || got.Text == "" {
		t.Errorf("%+v", got)
	}
	lists = NewLists(must(t, testpki.Must(ca.CRL(testpki.CRL{Extensions: []x509pkix.Extension{
		{Id: []int{1, 2, 3}, Critical: true, Value: []byte{5, 0}},
	}}))))
	if got := status(lists, ca, id.Certificate); got.Status != Unknown {
		t.Errorf("with an unknown critical extension: %+v", got)
	}
}
