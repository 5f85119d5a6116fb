package pkix

import (
	"crypto/x509"
	"encoding/asn1"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// The qualifiers that RFC 5280 section 4.2.1.4 defines: texts for people.
var (
	oidCPS        = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 2, 1}
	oidUserNotice = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 2, 2}
)

// readPolicies reads CertificatePolicies. A policy that stands there twice counts
// once. An undefined qualifier makes the extension one that is not
// understood, which matters where it is critical; the policies count all the same.
func readPolicies(c *x509.Certificate, s cryptobyte.String) bool {
	seq, ok := whole(s)
	understood := true
	var policies []x509.OID
	for ok && !seq.Empty() {
		var info cryptobyte.String
		if !seq.ReadASN1(&info, cryptobyte_asn1.SEQUENCE) {
			return false
		}
		id, ok := readOID(&info)
		if !ok {
			return false
		}
		if !slices.ContainsFunc(policies, id.Equal) {
			policies = append(policies, id)
		}
		understood = understood && knownQualifiers(info)
	}
	if !ok {
		return false
	}
	c.Policies = policies
	for _, id := range policies {
		c.PolicyIdentifiers = append(c.PolicyIdentifiers, saturated(id))
	}
	return understood
}

// knownQualifiers reports whether what follows a policy is nothing, or the
// qualifiers that are known.
func knownQualifiers(info cryptobyte.String) bool {
	if info.Empty() {
		return true
	}
	list, ok := whole(info)
	for ok && !list.Empty() {
		var one cryptobyte.String
		var id asn1.ObjectIdentifier
		ok = list.ReadASN1(&one, cryptobyte_asn1.SEQUENCE) && one.ReadASN1ObjectIdentifier(&id) &&
			(id.Equal(oidCPS) || id.Equal(oidUserNotice))
	}
	return ok
}

func readPolicyMappings(c *x509.Certificate, s cryptobyte.String) bool {
	seq, ok := whole(s)
	for ok && !seq.Empty() {
		var pair cryptobyte.String
		if !seq.ReadASN1(&pair, cryptobyte_asn1.SEQUENCE) {
			return false
		}
		from, okFrom := readOID(&pair)
		to, okTo := readOID(&pair)
		ok = okFrom && okTo && pair.Empty()
		c.PolicyMappings = append(c.PolicyMappings, x509.PolicyMapping{IssuerDomainPolicy: from, SubjectDomainPolicy: to})
	}
	return ok
}

func readPolicyConstraints(c *x509.Certificate, s cryptobyte.String) bool {
	seq, ok := whole(s)
	explicit, mapping := cryptobyte_asn1.Tag(0).ContextSpecific(), cryptobyte_asn1.Tag(1).ContextSpecific()
	if ok && seq.PeekASN1Tag(explicit) {
		ok = readCount(&seq, &c.RequireExplicitPolicy, explicit)
		c.RequireExplicitPolicyZero = c.RequireExplicitPolicy == 0
	}
	if ok && seq.PeekASN1Tag(mapping) {
		ok = readCount(&seq, &c.InhibitPolicyMapping, mapping)
		c.InhibitPolicyMappingZero = c.InhibitPolicyMapping == 0
	}
	return ok && seq.Empty()
}

func readInhibitAnyPolicy(c *x509.Certificate, s cryptobyte.String) bool {
	ok := readCount(&s, &c.InhibitAnyPolicy, cryptobyte_asn1.INTEGER) && s.Empty()
	c.InhibitAnyPolicyZero = c.InhibitAnyPolicy == 0
	return ok
}
