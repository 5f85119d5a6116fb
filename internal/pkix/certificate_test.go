package pkix

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// odd describes a certificate part by part, so that each can be odd.
type odd struct {
	version    any // nil: [0] { 2 }
	serial     []byte
	inner      []byte // signature algorithm inside; nil: the outer one
	issuer     []byte
	notBefore  asn1.RawValue
	notAfter   asn1.RawValue
	subject    []byte
	key        []byte // SubjectPublicKeyInfo
	extensions [][]byte
	tail       []byte // behind the extensions
}

var sha256WithRSA = []byte("\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b\x05\x00")

// plainOdd returns a certificate without anything odd.
func plainOdd(t *testing.T) odd {
	t.Helper()
	key := testpki.Must(testpki.NewCA(testpki.Options{Key: "rsa2048"})).Root.RawSubjectPublicKeyInfo
	return odd{
		serial: []byte{1}, issuer: rawName(t, part(asn1.ObjectIdentifier{2, 5, 4, 3}, "issuer")),
		notBefore: typed(asn1.TagUTCTime, "260101000000Z"), notAfter: typed(asn1.TagUTCTime, "350101000000Z"),
		subject: rawName(t, part(asn1.ObjectIdentifier{2, 5, 4, 3}, "subject")), key: key,
	}
}

func (o odd) der(t *testing.T) []byte {
	t.Helper()
	var b cryptobyte.Builder
	b.AddASN1(cryptobyte_asn1.SEQUENCE, func(cert *cryptobyte.Builder) {
		cert.AddASN1(cryptobyte_asn1.SEQUENCE, func(tbs *cryptobyte.Builder) {
			o.build(t, tbs)
		})
		cert.AddBytes(sha256WithRSA)
		cert.AddASN1BitString(make([]byte, 256))
	})
	return b.BytesOrPanic()
}

func (o odd) build(t *testing.T, tbs *cryptobyte.Builder) {
	version, ok := o.version.([]byte)
	if !ok {
		version = []byte{0xa0, 3, 2, 1, 2}
	}
	tbs.AddBytes(version)
	tbs.AddASN1(cryptobyte_asn1.INTEGER, func(b *cryptobyte.Builder) { b.AddBytes(o.serial) })
	if o.inner == nil {
		o.inner = sha256WithRSA
	}
	tbs.AddBytes(o.inner)
	tbs.AddBytes(o.issuer)
	tbs.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, at := range []asn1.RawValue{o.notBefore, o.notAfter} {
			b.AddASN1(cryptobyte_asn1.Tag(at.Tag), func(b *cryptobyte.Builder) { b.AddBytes(at.Bytes) })
		}
	})
	tbs.AddBytes(o.subject)
	tbs.AddBytes(o.key)
	if o.extensions != nil {
		tbs.AddASN1(cryptobyte_asn1.Tag(3).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
			b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(slices.Concat(o.extensions...)) })
		})
	}
	tbs.AddBytes(o.tail)
}

// extension encodes one; critical is the octet of the BOOLEAN, 0 for none.
func extension(id []byte, critical byte, value []byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cryptobyte_asn1.OBJECT_IDENTIFIER, func(b *cryptobyte.Builder) { b.AddBytes(id) })
		if critical != 0 {
			b.AddASN1(cryptobyte_asn1.BOOLEAN, func(b *cryptobyte.Builder) { b.AddUint8(critical) })
		}
		b.AddASN1OctetString(value)
	})
	return b.BytesOrPanic()
}

// Identifiers of extensions.
var (
	extKeyID       = []byte{0x55, 0x1d, 0x0e}
	extUsage       = []byte{0x55, 0x1d, 0x0f}
	extAltName     = []byte{0x55, 0x1d, 0x11}
	extBasic       = []byte{0x55, 0x1d, 0x13}
	extNames       = []byte{0x55, 0x1d, 0x1e}
	extPoints      = []byte{0x55, 0x1d, 0x1f}
	extPolicies    = []byte{0x55, 0x1d, 0x20}
	extMappings    = []byte{0x55, 0x1d, 0x21}
	extAuthority   = []byte{0x55, 0x1d, 0x23}
	extPolicyLimit = []byte{0x55, 0x1d, 0x24}
	extExtUsage    = []byte{0x55, 0x1d, 0x25}
	extAnyPolicy   = []byte{0x55, 0x1d, 0x36}
	extInfo        = []byte{0x2b, 6, 1, 5, 5, 7, 1, 1}
	extPrivate     = []byte{0x2b, 6, 1, 4, 1, 0xce, 0x0f, 1}
	// extUUID is 2.25 and a number of 128 bits (X.667).
	extUUID = []byte{0x69, 0x83, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8b, 0x8c, 0x8d, 0x8e, 0x8f, 0x90, 0x91, 1}
)

// What is odd in certificates that are in use, and says nothing that a verdict
// rests on. crypto/x509 refuses all of them but those marked "also".
func TestOddCertificatesAreRead(t *testing.T) {
	common := asn1.ObjectIdentifier{2, 5, 4, 3}
	mail := append([]byte{0x81, 15}, "odd@norrland.ex"...)
	names := func(list ...[]byte) []byte {
		all := slices.Concat(list...)
		return append([]byte{0x30, byte(len(all))}, all...)
	}
	uri := func(text string) []byte { return append([]byte{0x86, byte(len(text))}, text...) }
	for name, change := range map[string]func(*odd){
		"also: nothing odd":          func(*odd) {},
		"at sign in PrintableString": func(o *odd) { o.subject = rawName(t, part(common, typed(19, "a@b"))) },
		"underscore in it":           func(o *odd) { o.issuer = rawName(t, part(common, typed(19, "a_b"))) },
		"Latin-1 in it":              func(o *odd) { o.subject = rawName(t, part(common, typed(19, "M\xe4lar"))) },
		"bad UTF8String":             func(o *odd) { o.subject = rawName(t, part(common, typed(12, "M\xe4lar"))) },
		"Latin-1 in IA5String":       func(o *odd) { o.subject = rawName(t, part(common, typed(22, "M\xe4lar"))) },
		"UniversalString":            func(o *odd) { o.subject = rawName(t, part(common, typed(28, "\x00\x00\x00O"))) },
		"half a BMPString":           func(o *odd) { o.subject = rawName(t, part(common, typed(30, "\x00Ox"))) },
		"BIT STRING in a name":       func(o *odd) { o.subject = rawName(t, part(common, asn1.BitString{Bytes: []byte{1}, BitLength: 8})) },
		"also: negative serial":      func(o *odd) { o.serial = []byte{0x80, 1} },
		"also: serial number of 0":   func(o *odd) { o.serial = []byte{0} },
		"also: serial number of 40":  func(o *odd) { o.serial = bytes.Repeat([]byte{0x11}, 40) },
		"RSA without NULL":           func(o *odd) { o.key = rsaInfo(t, o.key, oidRSA, nil, false) },
		"RSA with a size":            func(o *odd) { o.key = rsaInfo(t, o.key, oidRSA, []byte{2, 2, 8, 0}, false) },
		"RSA modulus without its 0":  func(o *odd) { o.key = rsaInfo(t, o.key, oidRSA, asn1.NullBytes, true) },
		"also: RSA of X.509":         func(o *odd) { o.key = rsaInfo(t, o.key, oidEARSA, []byte{2, 2, 8, 0}, false) },
		"UTF-8 in rfc822Name": func(o *odd) {
			o.extensions = [][]byte{extension(extAltName, 0, names(mail, append([]byte{0x81, 4}, "ö@x"...)))}
		},
		"URI with a blank": func(o *odd) { o.extensions = [][]byte{extension(extAltName, 0, names(mail, uri("http://nor rland/")))} },
		"IP address of 5 octets": func(o *odd) {
			o.extensions = [][]byte{extension(extAltName, 0, names(mail, []byte{0x87, 5, 1, 2, 3, 4, 5}))}
		},
		"also: private one": func(o *odd) { o.extensions = [][]byte{extension(extPrivate, 0, []byte{5, 0})} },
		"private one twice": func(o *odd) {
			o.extensions = [][]byte{extension(extPrivate, 0, []byte("a")), extension(extPrivate, 0, []byte("b"))}
		},
		"extension of a UUID": func(o *odd) { o.extensions = [][]byte{extension(extUUID, 0, []byte("a"))} },
		"policy twice": func(o *odd) {
			o.extensions = [][]byte{extension(extPolicies, 0, names([]byte{0x30, 4, 6, 2, 0x2a, 3}, []byte{0x30, 4, 6, 2, 0x2a, 3}))}
		},
		"policies twice": func(o *odd) {
			e := extension(extPolicies, 0, names([]byte{0x30, 4, 6, 2, 0x2a, 3}))
			o.extensions = [][]byte{e, e}
		},
		"policies that are none":    func(o *odd) { o.extensions = [][]byte{extension(extPolicies, 0, []byte{5, 0})} },
		"authority information":     func(o *odd) { o.extensions = [][]byte{extension(extInfo, 0, []byte{5, 0})} },
		"critical key identifier":   func(o *odd) { o.extensions = [][]byte{extension(extKeyID, 0xff, []byte{4, 1, 7})} },
		"critical authority key id": func(o *odd) { o.extensions = [][]byte{extension(extAuthority, 0xff, []byte{0x30, 3, 0x80, 1, 7})} },
		"true is 1":                 func(o *odd) { o.extensions = [][]byte{extension(extUsage, 1, []byte{3, 2, 5, 0xa0})} },
		"CA is 1":                   func(o *odd) { o.extensions = [][]byte{extension(extBasic, 0xff, []byte{0x30, 3, 1, 1, 1})} },
		"spare bits in key usage":   func(o *odd) { o.extensions = [][]byte{extension(extUsage, 0xff, []byte{3, 2, 5, 0xa7})} },
		"unknown curve":             func(o *odd) { o.key = ecInfo("\x06\x05\x2b\x81\x04\x00\x0a", append([]byte{4}, make([]byte, 64)...)) },
		"point off its curve": func(o *odd) {
			o.key = ecInfo("\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07", append([]byte{4}, make([]byte, 64)...))
		},
		"also: extensions in version 1, which are left out": func(o *odd) { o.version = []byte{} },
	} {
		o := plainOdd(t)
		change(&o)
		der := o.der(t)
		c, err := ParseCertificate(der)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !bytes.Equal(c.Raw, der) || len(c.UnhandledCriticalExtensions) > 0 || c.NotAfter.Year() != 2035 {
			t.Errorf("%s: misread: %v", name, c.UnhandledCriticalExtensions)
		}
		_, libraryErr := x509.ParseCertificate(der)
		if also := strings.HasPrefix(name, "also: "); also != (libraryErr == nil) {
			t.Errorf("%s: crypto/x509: %v", name, libraryErr)
		}
		if len(o.extensions) > 0 && bytes.Contains(der, mail) && !slices.Contains(c.EmailAddresses, "odd@norrland.ex") {
			t.Errorf("%s: addresses %q", name, c.EmailAddresses)
		}
		if k, ok := c.PublicKey.(*rsa.PublicKey); (!ok || k.N.BitLen() != 2048) && !strings.Contains(name, "curve") {
			t.Errorf("%s: key %v", name, c.PublicKey)
		}
	}
}

// rsaInfo writes the key of an info in another way.
func rsaInfo(t *testing.T, info []byte, id asn1.ObjectIdentifier, params []byte, short bool) []byte {
	t.Helper()
	k, ok := ReadKeyInfo(info)
	key := k.key().(*rsa.PublicKey)
	if !ok {
		t.Fatal("no key")
	}
	var b, inner cryptobyte.Builder
	inner.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		if short {
			b.AddASN1(cryptobyte_asn1.INTEGER, func(b *cryptobyte.Builder) { b.AddBytes(key.N.Bytes()) })
		} else {
			b.AddASN1BigInt(key.N)
		}
		b.AddASN1Int64(int64(key.E))
	})
	b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(id)
			b.AddBytes(params)
		})
		b.AddASN1BitString(inner.BytesOrPanic())
	})
	return b.BytesOrPanic()
}

func ecInfo(params string, point []byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(oidECPublicKey)
			b.AddBytes([]byte(params))
		})
		b.AddASN1BitString(point)
	})
	return b.BytesOrPanic()
}

// What a verdict rests on and cannot be read, or can be read in two ways, refuses
// the certificate; what is critical and not understood is reported.
func TestWhatAVerdictRestsOnIsStrict(t *testing.T) {
	twice := func(id []byte, value ...byte) func(*odd) {
		return func(o *odd) { o.extensions = [][]byte{extension(id, 0, value), extension(id, 0, value)} }
	}
	bad := func(id []byte, value ...byte) func(*odd) {
		return func(o *odd) { o.extensions = [][]byte{extension(id, 0, value)} }
	}
	for name, change := range map[string]func(*odd){
		"its version is not": func(o *odd) { o.version = []byte{0xa0, 3, 2, 1, 3} },
		"its serial number":  func(o *odd) { o.serial = nil },
		"its serial number ": func(o *odd) { o.serial = []byte{0, 1} },
		"signature algorithms inside": func(o *odd) {
			o.inner = sha256WithRSA[:0:0]
			o.inner = append(o.inner, "\x30\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b"...)
		},
		"its validity":                                          func(o *odd) { o.notAfter = typed(asn1.TagUTCTime, "350101000000+0000") },
		"its validity ":                                         func(o *odd) { o.notAfter = typed(asn1.TagUTCTime, "3501010000Z") },
		"its validity  ":                                        func(o *odd) { o.notAfter = typed(asn1.TagGeneralizedTime, "20350101000000.5Z") },
		"its validity   ":                                       func(o *odd) { o.notAfter = typed(asn1.TagUTF8String, "350101000000Z") },
		"its issuer":                                            func(o *odd) { o.issuer = []byte{0x30, 2, 5, 0} },
		"its subject is":                                        func(o *odd) { o.subject = []byte{0x30, 4, 0x31, 2, 0x30, 0} },
		"its public key":                                        func(o *odd) { o.key = []byte{0x30, 2, 5, 0} },
		"its list of extensions":                                func(o *odd) { o.extensions = [][]byte{{5, 0}} },
		"not well-formed DER":                                   func(o *odd) { o.tail = []byte{5, 0} },
		"its subjectAltName stands there twice":                 twice(extAltName, 0x30, 0),
		"its keyUsage stands there twice":                       twice(extUsage, 3, 2, 5, 0xa0),
		"its extKeyUsage stands there twice":                    twice(extExtUsage, 0x30, 0),
		"its basicConstraints stands there twice":               twice(extBasic, 0x30, 0),
		"its nameConstraints stands there twice":                twice(extNames, 0x30, 0),
		"its subjectAltName is not":                             bad(extAltName, 0x30, 2, 0x81, 5),
		"its subjectAltName is not ":                            bad(extAltName, 0x30, 0, 5, 0),
		"its keyUsage is not":                                   bad(extUsage, 3, 0),
		"its keyUsage is not ":                                  bad(extUsage, 3, 2, 8, 0xa0),
		"its keyUsage is not  ":                                 bad(extUsage, 3, 2, 5, 0xa0, 0),
		"its basicConstraints is not":                           bad(extBasic, 0x30, 3, 1, 1, 0xff, 0),
		"its basicConstraints is not ":                          bad(extBasic, 0x30, 6, 1, 1, 0xff, 2, 1, 0xff),
		"its basicConstraints is not  ":                         bad(extBasic, 0x30, 4, 1, 2, 0xff, 0xff),
		"its nameConstraints is not":                            bad(extNames, 0x30, 2, 0xa2, 0),
		"its cRLDistributionPoints is not":                      bad(extPoints, 0x30, 1),
		"its policyMappings is not":                             bad(extMappings, 0x30, 4, 0x30, 2, 6, 0),
		"its policyConstraints is not":                          bad(extPolicyLimit, 0x30, 3, 0x80, 1, 0xff),
		"its inhibitAnyPolicy is not":                           bad(extAnyPolicy, 2, 0),
		"its extKeyUsage is not":                                bad(extExtUsage, 0x30, 2, 5, 0),
		"its subjectKeyIdentifier is not":                       bad(extKeyID, 4, 2, 1),
		"its authorityKeyIdentifier is not":                     bad(extAuthority, 4, 2, 1),
		"its authorityKeyIdentifier is not well-formed, behind": bad(extAuthority, 0x30, 0, 0),
	} {
		o := plainOdd(t)
		change(&o)
		want, _, _ := strings.Cut(strings.TrimSpace(name), ", behind")
		if c, err := ParseCertificate(o.der(t)); err == nil || c != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	qualified := []byte{0x30, 14, 0x30, 12, 6, 2, 0x2a, 3, 0x30, 6, 0x30, 4, 6, 2, 0x2a, 4}
	for name, e := range map[string][]byte{
		"private":           extension(extPrivate, 0xff, nil),
		"UUID":              extension(extUUID, 1, nil),
		"bad policies":      extension(extPolicies, 0xff, []byte{5, 0}),
		"unknown qualifier": extension(extPolicies, 0xff, qualified),
		"bad information":   extension(extInfo, 0xff, []byte{5, 0}),
	} {
		o := plainOdd(t)
		o.extensions = [][]byte{e}
		if c, err := ParseCertificate(o.der(t)); err != nil || len(c.UnhandledCriticalExtensions) != 1 {
			t.Errorf("%s: critical: %v, %v", name, c.UnhandledCriticalExtensions, err)
		}
	}
	o := plainOdd(t)
	o.extensions = [][]byte{extension(extPolicies, 0, qualified)}
	if c, err := ParseCertificate(o.der(t)); err != nil || len(c.Policies) != 1 || len(c.UnhandledCriticalExtensions) != 0 {
		t.Errorf("an unknown qualifier, not critical: %v", err)
	}
	if _, err := ParseCertificate(append(o.der(t), 5, 0)); err == nil {
		t.Error("what follows a certificate is passed over")
	}
	if c, err := ParseCertificate(append(o.der(t), "\r\n\x00"...)); err != nil || len(c.Raw) != len(o.der(t)) {
		t.Errorf("line ends and NULs behind a certificate: %v", err)
	}
}

// TestReaderAgreesWithTheLibrary: what both read is the same.
func TestReaderAgreesWithTheLibrary(t *testing.T) {
	for _, key := range []string{"rsa2048", "p256", "p384", "p521", "ed25519"} {
		ca := testpki.Must(testpki.NewCA(testpki.Options{Key: key, CRLs: []string{"http://x.example/crl"}}))
		leaf := testpki.Must(ca.Issue(testpki.Leaf{Key: key, Addresses: []string{"a@example.org", "b@example.org"}}))
		for _, want := range []*x509.Certificate{ca.Root, leaf.Certificate} {
			got, err := ParseCertificate(want.Raw)
			if err != nil {
				t.Fatal(err)
			}
			compareParsed(t, key, got, want)
			if !SignedBy(got, ca.Root, false) {
				t.Errorf("%s: not signed by its issuer", key)
			}
		}
	}
}

func compareParsed(t *testing.T, name string, got, want *x509.Certificate) {
	t.Helper()
	for field, same := range map[string]bool{
		"raw parts": bytes.Equal(got.RawTBSCertificate, want.RawTBSCertificate) && bytes.Equal(got.RawSubject, want.RawSubject) &&
			bytes.Equal(got.RawIssuer, want.RawIssuer) && bytes.Equal(got.RawSubjectPublicKeyInfo, want.RawSubjectPublicKeyInfo) &&
			bytes.Equal(got.Signature, want.Signature),
		"names":      got.Subject.String() == want.Subject.String() && got.Issuer.String() == want.Issuer.String(),
		"numbers":    got.SerialNumber.Cmp(want.SerialNumber) == 0 && got.Version == want.Version,
		"dates":      got.NotBefore.Equal(want.NotBefore) && got.NotAfter.Equal(want.NotAfter),
		"key":        want.PublicKey.(interface{ Equal(crypto.PublicKey) bool }).Equal(got.PublicKey),
		"algorithms": got.SignatureAlgorithm == want.SignatureAlgorithm && got.PublicKeyAlgorithm == want.PublicKeyAlgorithm,
		"usages":     got.KeyUsage == want.KeyUsage && slices.Equal(got.ExtKeyUsage, want.ExtKeyUsage),
		"basic": got.BasicConstraintsValid == want.BasicConstraintsValid && got.IsCA == want.IsCA &&
			got.MaxPathLen == want.MaxPathLen && got.MaxPathLenZero == want.MaxPathLenZero,
		"identifiers": bytes.Equal(got.SubjectKeyId, want.SubjectKeyId) && bytes.Equal(got.AuthorityKeyId, want.AuthorityKeyId),
		"addresses":   slices.Equal(got.EmailAddresses, want.EmailAddresses) && slices.Equal(got.CRLDistributionPoints, want.CRLDistributionPoints),
		"extensions":  slices.EqualFunc(got.Extensions, want.Extensions, sameExtension),
	} {
		if !same {
			t.Errorf("%s: %s differ", name, field)
		}
	}
}

func sameExtension(a, b pkix.Extension) bool {
	return a.Id.Equal(b.Id) && a.Critical == b.Critical && bytes.Equal(a.Value, b.Value)
}

func TestCompressedPoints(t *testing.T) {
	for curve, params := range map[string]string{"P-256": "\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07", "P-384": "\x06\x05\x2b\x81\x04\x00\x22", "P-521": "\x06\x05\x2b\x81\x04\x00\x23"} {
		dir := t.TempDir()
		openssl(t, dir, "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:"+curve, "-out", "key.pem")
		openssl(t, dir, "pkey", "-in", "key.pem", "-pubout", "-out", "long.pem")
		openssl(t, dir, "pkey", "-in", "key.pem", "-pubout", "-ec_conv_form", "compressed", "-out", "short.pem")
		long, ok := ReadKeyInfo(readPEM(t, dir, "long.pem"))
		short, ok2 := ReadKeyInfo(readPEM(t, dir, "short.pem"))
		if !ok || !ok2 || len(short.Bits) >= len(long.Bits) {
			t.Fatalf("%s: not compressed", curve)
		}
		key, isEC := short.key().(*ecdsa.PublicKey)
		if !isEC || !key.Equal(long.key()) {
			t.Errorf("%s: the compressed point is another one", curve)
		}
		hybrid := bytes.Clone(long.Bits)
		hybrid[0] = 6 | hybrid[len(hybrid)-1]&1
		if info, _ := ReadKeyInfo(ecInfo(params, hybrid)); !key.Equal(info.key()) {
			t.Errorf("%s: the hybrid point is another one", curve)
		}
		hybrid[0] ^= 1
		if info, _ := ReadKeyInfo(ecInfo(params, hybrid)); info.key() != nil {
			t.Errorf("%s: a hybrid point that contradicts itself is read", curve)
		}
		wrong := bytes.Clone(short.Bits)
		for i := range 64 { // half of all x have no point
			wrong[len(wrong)-1] = byte(i)
			if info, _ := ReadKeyInfo(ecInfo(params, wrong)); info.key() == nil {
				break
			} else if i == 63 {
				t.Errorf("%s: every x has a point", curve)
			}
		}
	}
}

func TestSignedByIsStrict(t *testing.T) {
	ca := testpki.Must(testpki.NewCA(testpki.Options{Key: "rsa2048"}))
	leaf := testpki.Must(ca.Issue(testpki.Leaf{})).Certificate
	weak := testpki.Must(testpki.NewCA(testpki.Options{Key: "rsa2048", Signature: x509.SHA1WithRSA})).Root
	if !SignedBy(weak, weak, true) || SignedBy(weak, weak, false) {
		t.Error("SHA-1 does not follow the permission")
	}
	for name, change := range map[string]func(*x509.Certificate){
		"no authority": func(c *x509.Certificate) { c.IsCA = false },
		"key usage":    func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign },
		"another key":  func(c *x509.Certificate) { c.PublicKey = weak.PublicKey },
		"even modulus": func(c *x509.Certificate) {
			c.PublicKey = &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 2047), E: 3}
		},
	} {
		issuer := *ca.Root
		change(&issuer)
		if SignedBy(leaf, &issuer, true) {
			t.Errorf("%s: counts", name)
		}
	}
}

// Dates in the second form, and years in the first (RFC 5280 section 4.1.2.5.1).
func TestDates(t *testing.T) {
	for text, want := range map[string]time.Time{
		"500101000000Z":   time.Date(1950, 1, 1, 0, 0, 0, 0, time.UTC),
		"491231235959Z":   time.Date(2049, 12, 31, 23, 59, 59, 0, time.UTC),
		"20500101000000Z": time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC),
		"99991231235959Z": time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
	} {
		o := plainOdd(t)
		o.notAfter = typed(asn1.TagUTCTime, text)
		if len(text) > 13 {
			o.notAfter.Tag = asn1.TagGeneralizedTime
		}
		if c, err := ParseCertificate(o.der(t)); err != nil || !c.NotAfter.Equal(want) {
			t.Errorf("%s: %v, %v", text, c, err)
		}
	}
}
