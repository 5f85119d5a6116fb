package revocation

import (
	"crypto/x509"
	x509pkix "crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// A list that has expired says no longer what is good, and still what was revoked.
func TestARevocationOutlivesItsList(t *testing.T) {
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	id := testpki.Must(ca.Issue(testpki.Leaf{})).Certificate
	other := testpki.Must(ca.Issue(testpki.Leaf{})).Certificate
	past := time.Now().Add(-48 * time.Hour)
	list := func(reason int, c testpki.CRL) *List {
		c.Revoked, c.Reason = []*x509.Certificate{id}, reason
		if c.ThisUpdate.IsZero() {
			c.ThisUpdate, c.NextUpdate = past, past.Add(time.Hour)
		}
		return must(t, testpki.Must(ca.CRL(c)))
	}
	unknown := testpki.CRL{Extensions: []x509pkix.Extension{{Id: []int{1, 2, 3}, Critical: true, Value: asn1.NullBytes}}}
	newer := must(t, testpki.Must(ca.CRL(testpki.CRL{Number: big.NewInt(9)})))
	for name, c := range map[string]struct {
		lists []*List
		cert  *x509.Certificate
		want  Status
	}{
		"revoked":                       {[]*List{list(1, testpki.CRL{})}, id, Revoked},
		"not on it":                     {[]*List{list(1, testpki.CRL{})}, other, Unknown},
		"on hold":                       {[]*List{list(reasonHold, testpki.CRL{})}, id, Unknown},
		"removed":                       {[]*List{list(reasonRemove, testpki.CRL{})}, id, Unknown},
		"not yet valid":                 {[]*List{list(1, testpki.CRL{ThisUpdate: time.Now().Add(time.Hour)})}, id, Unknown},
		"an extension not understood":   {[]*List{list(1, unknown)}, id, Unknown},
		"a newer one without the entry": {[]*List{list(1, testpki.CRL{}), newer}, id, Good},
	} {
		if got := status(NewLists(c.lists...), ca, c.cert); got.Status != c.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
	stranger := testpki.Must(testpki.NewCA(testpki.Options{}))
	if got := status(NewLists(list(1, testpki.CRL{})), stranger, id); got.Status != Unknown {
		t.Errorf("signed by another: %+v", got)
	}
}

// entryOf is an entry with a reason of any value.
func entryOf(c *x509.Certificate, reason int, at time.Time) x509.RevocationListEntry {
	return x509.RevocationListEntry{SerialNumber: c.SerialNumber, RevocationTime: at, ReasonCode: reason}
}

// An entry with a reason that is not known revokes, and does not spoil the list; of
// several entries about a certificate one that revokes is enough.
func TestOddEntries(t *testing.T) {
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	id, other := testpki.Must(ca.Issue(testpki.Leaf{})).Certificate, testpki.Must(ca.Issue(testpki.Leaf{})).Certificate
	early, late := time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	for name, entries := range map[string][]x509.RevocationListEntry{
		"reason 99":             {entryOf(id, 99, early)},
		"reason 7":              {entryOf(id, 7, early)},
		"reason -1":             {entryOf(id, -1, early)},
		"removed, then revoked": {entryOf(id, reasonRemove, early), entryOf(id, 1, late)},
		"revoked, then removed": {entryOf(id, 1, early), entryOf(id, reasonRemove, late)},
	} {
		lists := NewLists(must(t, testpki.Must(ca.CRL(testpki.CRL{Entries: entries}))))
		if got := status(lists, ca, id); got.Status != Revoked {
			t.Errorf("%s: %+v", name, got)
		}
		if got := status(lists, ca, other); got.Status != Good {
			t.Errorf("%s, of another: %+v", name, got)
		}
	}
}

// Parts that two readers could take differently make it no list.
func TestDoubledPartsOfAList(t *testing.T) {
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	number := func(id asn1.ObjectIdentifier) x509pkix.Extension {
		return x509pkix.Extension{Id: id, Value: []byte{2, 1, 7}}
	}
	point, own := issuingPointOf("http://a.example/1.crl", false), x509pkix.Extension{Id: []int{1, 2, 3}, Value: asn1.NullBytes}
	for name, c := range map[string]struct {
		extensions []x509pkix.Extension
		good       bool
	}{
		"issuing point":            {[]x509pkix.Extension{point, point}, false},
		"number":                   {[]x509pkix.Extension{number(oidCRLNumber)}, false}, // the authority adds one
		"base":                     {[]x509pkix.Extension{number(oidDeltaIndicator), number(oidDeltaIndicator)}, false},
		"authority":                {[]x509pkix.Extension{{Id: oidAuthorityKeyID, Value: []byte{0x30, 0}}}, false},
		"private":                  {[]x509pkix.Extension{own, own}, true},
		"point with an empty name": {[]x509pkix.Extension{{Id: oidIssuingPoint, Critical: true, Value: []byte{0x30, 2, 0xa0, 0}}}, false},
		"point without a name":     {[]x509pkix.Extension{{Id: oidIssuingPoint, Critical: true, Value: []byte{0x30, 0}}}, true},
	} {
		if _, err := ParseList(testpki.Must(ca.CRL(testpki.CRL{Extensions: c.extensions}))); (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Entries of another issuer are only on an indirect list.
	other := testpki.Must(testpki.NewCA(testpki.Options{Name: "other"})).Root
	issuer := x509pkix.Extension{Id: oidCertificateIssuer, Critical: true, Value: sequenceOf(explicit(4, other.RawSubject))}
	entry := x509.RevocationListEntry{SerialNumber: ca.Root.SerialNumber, RevocationTime: time.Now(), ExtraExtensions: []x509pkix.Extension{issuer}}
	for _, indirect := range []bool{false, true} {
		c := testpki.CRL{Entries: []x509.RevocationListEntry{entry}, Extensions: []x509pkix.Extension{issuingPointOf("", indirect)}}
		if _, err := ParseList(testpki.Must(ca.CRL(c))); (err == nil) != indirect {
			t.Errorf("an entry of another issuer, indirect %v: %v", indirect, err)
		}
	}
	// The list of entries and the extensions are there once each, in this order.
	der := testpki.Must(ca.CRL(testpki.CRL{Revoked: []*x509.Certificate{ca.Root}}))
	var parts, fields []asn1.RawValue
	testpki.Must(asn1.Unmarshal(der, &parts))
	testpki.Must(asn1.Unmarshal(parts[0].FullBytes, &fields))
	last := len(fields) - 1 // extensions, and before them the entries
	for name, again := range map[string][]asn1.RawValue{
		"entries twice":    {fields[last-1], fields[last-1], fields[last]},
		"extensions twice": {fields[last-1], fields[last], fields[last]},
		"entries last":     {fields[last], fields[last-1]},
	} {
		tbs := testpki.Must(asn1.Marshal(append(fields[:last-1:last-1], again...)))
		parts[0] = asn1.RawValue{FullBytes: tbs}
		if _, err := ParseList(testpki.Must(asn1.Marshal(parts))); err == nil {
			t.Errorf("%s: taken for a list", name)
		}
	}
}

func sequenceOf(element []byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(element) })
	return b.BytesOrPanic()
}

// The delegate of an authority must have a key that protects something, and a key
// usage that allows signatures where there is one.
func TestUnfitResponders(t *testing.T) {
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	leaf := testpki.Leaf{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}, KeyUsage: x509.KeyUsageDigitalSignature}
	without := leaf
	without.KeyUsage = testpki.NoKeyUsage
	empty := without
	empty.Edit = func(c *x509.Certificate) {
		c.ExtraExtensions = append(c.ExtraExtensions, x509pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 15}, Critical: true, Value: []byte{3, 2, 7, 0}})
	}
	short := leaf
	short.Key = "p224"
	for name, c := range map[string]struct {
		leaf testpki.Leaf
		good bool
	}{"good": {leaf, true}, "no key usage": {without, true}, "key usage without a bit": {empty, false}, "a short key": {short, false}} {
		if err := delegate(testpki.Must(ca.Issue(c.leaf)).Certificate, ca.Certificate, time.Now(), false); (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}
