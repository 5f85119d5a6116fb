package revocation

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	x509pkix "crypto/x509/pkix"
	"encoding/asn1"
	"slices"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// answerAbout is a SingleResponse that a test can make in any form.
type answerAbout struct {
	status     Status
	this, next time.Time
	extensions []x509pkix.Extension
	behind     []byte
}

func (a answerAbout) add(b *cryptobyte.Builder, ca *testpki.CA, cert *x509.Certificate) {
	b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) { // CertID
			b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}) })
			name := sha1.Sum(cert.RawIssuer)
			info, _ := pkix.ReadKeyInfo(ca.Certificate.RawSubjectPublicKeyInfo)
			key := sha1.Sum(info.Bits)
			b.AddASN1OctetString(name[:])
			b.AddASN1OctetString(key[:])
			b.AddASN1BigInt(cert.SerialNumber)
		})
		switch a.status {
		case Good:
			b.AddASN1(contextTag(0), func(*cryptobyte.Builder) {})
		case Revoked:
			b.AddASN1(contextTag(1).Constructed(), func(b *cryptobyte.Builder) { b.AddASN1GeneralizedTime(a.this) })
		default:
			b.AddASN1(contextTag(2), func(*cryptobyte.Builder) {})
		}
		b.AddASN1GeneralizedTime(a.this)
		if !a.next.IsZero() {
			b.AddASN1(contextTag(0).Constructed(), func(b *cryptobyte.Builder) { b.AddASN1GeneralizedTime(a.next) })
		}
		addExtensions(b, a.extensions)
		b.AddBytes(a.behind)
	})
}

func addExtensions(b *cryptobyte.Builder, list []x509pkix.Extension) {
	if list == nil {
		return
	}
	b.AddASN1(contextTag(1).Constructed(), func(b *cryptobyte.Builder) { b.AddBytes(testpki.Must(asn1.Marshal(list))) })
}

// wholeAnswer is an OCSPResponse that a test can make in any form.
type wholeAnswer struct {
	responder  []byte // the ResponderID; nil: the name of the authority
	produced   time.Time
	answers    []answerAbout
	extensions []x509pkix.Extension
	inData     []byte // behind ResponseData's parts
	inBytes    []byte // behind the response bytes
	behind     []byte // behind it all
}

// explicit is an element in an explicit context tag.
func explicit(tag uint8, element []byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(contextTag(tag).Constructed(), func(b *cryptobyte.Builder) { b.AddBytes(element) })
	return b.BytesOrPanic()
}

func (w wholeAnswer) der(t *testing.T, ca *testpki.CA, cert *x509.Certificate) []byte {
	t.Helper()
	var tbs cryptobyte.Builder
	tbs.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes([]byte(cmp.Or(string(w.responder), string(explicit(1, ca.Certificate.RawSubject)))))
		b.AddASN1GeneralizedTime(w.produced)
		b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			for _, a := range w.answers {
				a.add(b, ca, cert)
			}
		})
		addExtensions(b, w.extensions)
		b.AddBytes(w.inData)
	})
	data := tbs.BytesOrPanic()
	hash := sha256.Sum256(data)
	signature := testpki.Must(ca.Key.Sign(rand.Reader, hash[:], crypto.SHA256))
	var out cryptobyte.Builder
	out.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Enum(0)
		b.AddASN1(contextTag(0).Constructed(), func(b *cryptobyte.Builder) {
			b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(oidBasicResponse)
				b.AddASN1(cryptobyte_asn1.OCTET_STRING, func(b *cryptobyte.Builder) {
					b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddBytes(data)
						b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
							b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2})
						})
						b.AddASN1BitString(signature)
					})
				})
			})
		})
		b.AddBytes(w.inBytes)
	})
	return append(out.BytesOrPanic(), w.behind...)
}

// What a signed answer says counts by the letter of RFC 6960: what must be
// understood and is not, or does not fit, makes it no answer.
func TestResponsesByTheLetter(t *testing.T) {
	now := time.Now().UTC().Truncate(time.Second)
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	cert := testpki.Must(ca.Issue(testpki.Leaf{})).Certificate
	f := testpki.Must(NewFetcher(FetchConfig{Clock: func() time.Time { return now }}))
	defer f.Close()
	says := func(s Status) answerAbout {
		return answerAbout{status: s, this: now.Add(-time.Minute), next: now.Add(time.Hour)}
	}
	of := func(list ...answerAbout) wholeAnswer { return wholeAnswer{produced: now, answers: list} }
	odd := func(critical bool) []x509pkix.Extension {
		return []x509pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: critical, Value: []byte{5, 0}}}
	}
	with := func(w wholeAnswer, change func(*wholeAnswer)) wholeAnswer { change(&w); return w }
	stranger := testpki.Must(testpki.NewCA(testpki.Options{Name: "Stranger"}))
	named := func(id []byte) wholeAnswer { return with(of(says(Good)), func(w *wholeAnswer) { w.responder = id }) }
	byKey := func(c *x509.Certificate) []byte {
		info, _ := pkix.ReadKeyInfo(c.RawSubjectPublicKeyInfo)
		return explicit(2, testpki.Must(asn1.Marshal(pkix.Identifier(crypto.SHA1, info.Bits))))
	}
	old := answerAbout{status: Revoked, this: now.Add(-3 * time.Hour), next: now.Add(-2 * time.Hour)}
	backwards := answerAbout{status: Good, this: now.Add(4 * time.Minute), next: now.Add(time.Minute)}
	noted, critical, garbage := says(Good), says(Good), says(Good)
	noted.extensions, critical.extensions, garbage.behind = odd(false), odd(true), []byte{5, 0}
	for name, tt := range map[string]struct {
		w    wholeAnswer
		want Status
		none bool // it is no answer
	}{
		"good":                          {of(says(Good)), Good, false},
		"good twice":                    {of(says(Good), says(Good)), Good, false},
		"good, then revoked":            {of(says(Good), says(Revoked)), Revoked, false},
		"revoked, then good":            {of(says(Revoked), says(Good)), Revoked, false},
		"good, then unknown":            {of(says(Good), says(Unknown)), Unknown, false},
		"good now, revoked once":        {of(old, says(Good)), Good, false},
		"old":                           {of(old), 0, true},
		"ends before it begins":         {of(backwards), 0, true},
		"none":                          {of(), 0, true},
		"made in the future":            {with(of(says(Good)), func(w *wholeAnswer) { w.produced = now.Add(time.Hour) }), 0, true},
		"made within the skew":          {with(of(says(Good)), func(w *wholeAnswer) { w.produced = now.Add(time.Minute) }), Good, false},
		"made before it was known":      {with(of(says(Good)), func(w *wholeAnswer) { w.produced = now.Add(-time.Hour) }), 0, true},
		"an extension":                  {with(of(says(Good)), func(w *wholeAnswer) { w.extensions = odd(false) }), Good, false},
		"a critical extension":          {with(of(says(Good)), func(w *wholeAnswer) { w.extensions = odd(true) }), 0, true},
		"an extension of the answer":    {of(noted), Good, false},
		"a critical one of the answer":  {of(critical), 0, true},
		"garbage behind the answer":     {of(garbage), 0, true},
		"garbage behind the extensions": {with(of(says(Good)), func(w *wholeAnswer) { w.extensions, w.inData = odd(false), []byte{5, 0} }), 0, true},
		"garbage behind the bytes":      {with(of(says(Good)), func(w *wholeAnswer) { w.inBytes = []byte{5, 0} }), 0, true},
		"garbage behind it all":         {with(of(says(Good)), func(w *wholeAnswer) { w.behind = []byte{5, 0} }), 0, true},
		"signer named by its key":       {named(byKey(ca.Certificate)), Good, false},
		"another key is named":          {named(byKey(stranger.Certificate)), 0, true},
		"another name":                  {named(explicit(1, stranger.Certificate.RawSubject)), 0, true},
		"no name":                       {named(explicit(2, []byte{5, 0})), 0, true},
		"garbage behind the name":       {named(explicit(1, append(slices.Clone(ca.Certificate.RawSubject), 5, 0))), 0, true},
		"named in a third way":          {named(explicit(3, ca.Certificate.RawSubject)), 0, true},
		"line end behind it all":        {with(of(says(Good)), func(w *wholeAnswer) { w.behind = []byte("\r\n\x00") }), Good, false},
	} {
		r, err := f.interpret(tt.w.der(t, ca, cert), cert, ca.Certificate, false)
		if (err != nil) != tt.none || err == nil && r.status != tt.want {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

// A revocation list may have line ends and NULs behind it, and nothing else.
func TestListWithSomethingBehind(t *testing.T) {
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	der := testpki.Must(ca.CRL(testpki.CRL{}))
	for behind, good := range map[string]bool{"": true, "\n": true, "\r\n": true, "\x00\x00": true, " ": false, "x": false, "\n\x05\x00": false} {
		l, err := ParseList(append(append([]byte{}, der...), behind...))
		if (err == nil) != good || good && !l.VerifiedBy(ca.Certificate, false) {
			t.Errorf("%q behind it: %v", behind, err)
		}
	}
}

// allow_sha1 counts for the certificate of a responder to whom the issuer has
// delegated, too.
func TestDelegateSignedWithSHA1(t *testing.T) {
	ca := testpki.Must(testpki.NewCA(testpki.Options{Key: "rsa2048"}))
	modern := testpki.Must(ca.Issue(testpki.Leaf{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}, KeyUsage: x509.KeyUsageDigitalSignature}))
	const sha256RSA, sha1RSA = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b", "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05"
	tbs := bytes.Replace(modern.Certificate.RawTBSCertificate, []byte(sha256RSA), []byte(sha1RSA), 1)
	hash := sha1.Sum(tbs)
	signature := testpki.Must(ca.Key.Sign(rand.Reader, hash[:], crypto.SHA1))
	old := testpki.Must(pkix.ParseCertificate(testpki.Must(asn1.Marshal(struct {
		TBS       asn1.RawValue
		Algorithm x509pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}{
		asn1.RawValue{FullBytes: tbs},
		x509pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 5}, Parameters: asn1.NullRawValue},
		asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)},
	}))))
	for name, tt := range map[string]struct {
		c         *x509.Certificate
		allow, ok bool
	}{
		"SHA-256":        {modern.Certificate, false, true},
		"SHA-1":          {old, false, false},
		"SHA-1, allowed": {old, true, true},
	} {
		if err := delegate(tt.c, ca.Certificate, time.Now(), tt.allow); (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
