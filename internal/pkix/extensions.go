package pkix

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// extensionReader is how an extension is read into a certificate; false means
// that it is not well-formed. A lenient one speaks of nothing that a verdict rests
// on unless it is critical: what cannot be read is as if it were not understood
// (RFC 5280 section 4.2), and it may stand there twice.
type extensionReader struct {
	name    string
	read    func(*x509.Certificate, cryptobyte.String) bool
	lenient bool
}

var extensionReaders = map[string]extensionReader{
	"2.5.29.14":         {"subjectKeyIdentifier", readSubjectKeyID, false},
	"2.5.29.15":         {"keyUsage", readKeyUsage, false},
	"2.5.29.17":         {"subjectAltName", readSubjectAltName, false},
	"2.5.29.19":         {"basicConstraints", readBasicConstraints, false},
	"2.5.29.30":         {"nameConstraints", readNameConstraints, false},
	"2.5.29.31":         {"cRLDistributionPoints", readDistributionPoints, false},
	"2.5.29.32":         {"certificatePolicies", readPolicies, true},
	"2.5.29.33":         {"policyMappings", readPolicyMappings, false},
	"2.5.29.35":         {"authorityKeyIdentifier", readAuthorityKeyID, false},
	"2.5.29.36":         {"policyConstraints", readPolicyConstraints, false},
	"2.5.29.37":         {"extKeyUsage", readExtKeyUsage, false},
	"2.5.29.54":         {"inhibitAnyPolicy", readInhibitAnyPolicy, false},
	"1.3.6.1.5.5.7.1.1": {"authorityInfoAccess", readInfoAccess, true},
}

// readExtensions reads Extensions. The same one twice, which RFC 5280 section 4.2
// forbids, is a reason to refuse where two readers could take different ones.
func readExtensions(c *x509.Certificate, list cryptobyte.String) error {
	seen := map[string]bool{}
	for !list.Empty() {
		e, id, ok := readExtension(&list)
		if !ok {
			return malformed("list of extensions")
		}
		c.Extensions = append(c.Extensions, e)
		r, known := extensionReaders[id]
		if known && seen[id] && !r.lenient {
			return fmt.Errorf("certificate: its %s stands there twice", r.name)
		}
		read := known && r.read(c, e.Value)
		if known && !read && !r.lenient {
			return malformed(r.name)
		}
		if e.Critical && !read {
			c.UnhandledCriticalExtensions = append(c.UnhandledCriticalExtensions, e.Id)
		}
		if seen[id] && id == "2.5.29.32" {
			c.Policies = nil // it is unknown which of the two counts: neither
		}
		seen[id] = true
	}
	return nil
}

func readExtension(list *cryptobyte.String) (e pkix.Extension, id string, ok bool) {
	var s, value cryptobyte.String
	if !list.ReadASN1(&s, cryptobyte_asn1.SEQUENCE) {
		return e, "", false
	}
	oid, ok := readOID(&s)
	if !ok || !readDefaultFalse(&s, &e.Critical) || !s.ReadASN1(&value, cryptobyte_asn1.OCTET_STRING) || !s.Empty() {
		return e, "", false
	}
	e.Id, e.Value = saturated(oid), value
	return e, oid.String(), true
}

// readDefaultFalse reads a BOOLEAN DEFAULT FALSE. BER has 255 ways to write true,
// and all readers take them.
func readDefaultFalse(s *cryptobyte.String, b *bool) bool {
	if !s.PeekASN1Tag(cryptobyte_asn1.BOOLEAN) {
		return true
	}
	var value cryptobyte.String
	if !s.ReadASN1(&value, cryptobyte_asn1.BOOLEAN) || len(value) != 1 {
		return false
	}
	*b = value[0] != 0
	return true
}

// whole reads a SEQUENCE that nothing follows.
func whole(s cryptobyte.String) (seq cryptobyte.String, ok bool) {
	return seq, s.ReadASN1(&seq, cryptobyte_asn1.SEQUENCE) && s.Empty()
}

func readSubjectKeyID(c *x509.Certificate, s cryptobyte.String) bool {
	var id cryptobyte.String
	ok := s.ReadASN1(&id, cryptobyte_asn1.OCTET_STRING) && s.Empty()
	c.SubjectKeyId = id
	return ok
}

func readAuthorityKeyID(c *x509.Certificate, s cryptobyte.String) bool {
	seq, ok := whole(s)
	var id cryptobyte.String
	var present bool
	if !ok || !seq.ReadOptionalASN1(&id, &present, cryptobyte_asn1.Tag(0).ContextSpecific()) {
		return false
	}
	if present {
		c.AuthorityKeyId = id
	}
	return true // issuer and serial number may follow: they are hints too
}

// readKeyUsage reads the named bits; what is behind the ninth says nothing.
func readKeyUsage(c *x509.Certificate, s cryptobyte.String) bool {
	var bits cryptobyte.String
	if !s.ReadASN1(&bits, cryptobyte_asn1.BIT_STRING) || !s.Empty() || len(bits) == 0 || bits[0] > 7 || len(bits) == 1 && bits[0] != 0 {
		return false
	}
	flags := asn1.BitString{Bytes: bits[1:], BitLength: 8*(len(bits)-1) - int(bits[0])}
	for i := range 9 {
		if flags.At(i) != 0 {
			c.KeyUsage |= 1 << i
		}
	}
	return true
}

func readBasicConstraints(c *x509.Certificate, s cryptobyte.String) bool {
	seq, ok := whole(s)
	c.MaxPathLen = -1
	if !ok || !readDefaultFalse(&seq, &c.IsCA) {
		return false
	}
	if !seq.Empty() && (!readCount(&seq, &c.MaxPathLen, cryptobyte_asn1.INTEGER) || !seq.Empty()) {
		return false
	}
	c.BasicConstraintsValid, c.MaxPathLenZero = true, c.MaxPathLen == 0
	return true
}

// maxCount stands for all larger numbers of certificates in a path.
const maxCount = 1 << 20

// readCount reads INTEGER (0..MAX) under a tag.
func readCount(s *cryptobyte.String, n *int, tag cryptobyte_asn1.Tag) bool {
	var value cryptobyte.String
	if !s.ReadASN1(&value, tag) || len(value) == 0 || value[0]&0x80 != 0 || len(value) > 1 && value[0] == 0 && value[1]&0x80 == 0 {
		return false
	}
	*n = 0
	for _, b := range value {
		*n = min(*n<<8|int(b), maxCount)
	}
	return true
}

// The uses that the library has a name for (RFC 5280 section 4.2.1.12).
var extKeyUsages = map[string]x509.ExtKeyUsage{
	"2.5.29.37.0":            x509.ExtKeyUsageAny,
	"1.3.6.1.5.5.7.3.1":      x509.ExtKeyUsageServerAuth,
	"1.3.6.1.5.5.7.3.2":      x509.ExtKeyUsageClientAuth,
	"1.3.6.1.5.5.7.3.3":      x509.ExtKeyUsageCodeSigning,
	"1.3.6.1.5.5.7.3.4":      x509.ExtKeyUsageEmailProtection,
	"1.3.6.1.5.5.7.3.5":      x509.ExtKeyUsageIPSECEndSystem,
	"1.3.6.1.5.5.7.3.6":      x509.ExtKeyUsageIPSECTunnel,
	"1.3.6.1.5.5.7.3.7":      x509.ExtKeyUsageIPSECUser,
	"1.3.6.1.5.5.7.3.8":      x509.ExtKeyUsageTimeStamping,
	"1.3.6.1.5.5.7.3.9":      x509.ExtKeyUsageOCSPSigning,
	"1.3.6.1.4.1.311.10.3.3": x509.ExtKeyUsageMicrosoftServerGatedCrypto,
	"2.16.840.1.113730.4.1":  x509.ExtKeyUsageNetscapeServerGatedCrypto,
	"1.3.6.1.4.1.311.2.1.22": x509.ExtKeyUsageMicrosoftCommercialCodeSigning,
	"1.3.6.1.4.1.311.61.1.1": x509.ExtKeyUsageMicrosoftKernelCodeSigning,
}

func readExtKeyUsage(c *x509.Certificate, s cryptobyte.String) bool {
	seq, ok := whole(s)
	for ok && !seq.Empty() {
		var id x509.OID
		if id, ok = readOID(&seq); !ok {
			break
		}
		if use, known := extKeyUsages[id.String()]; known {
			c.ExtKeyUsage = append(c.ExtKeyUsage, use)
		} else {
			c.UnknownExtKeyUsage = append(c.UnknownExtKeyUsage, saturated(id))
		}
	}
	return ok
}
