package pkix

import (
	"crypto/x509"
	"encoding/asn1"
	"net"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Tags of GeneralName (RFC 5280 section 4.2.1.6).
const (
	nameMailbox = 1
	nameDNS     = 2
	nameURI     = 6
	nameIP      = 7
)

var (
	oidOCSP    = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1}
	oidIssuers = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 2}
)

// readGeneralNames splits a list into names, whatever is in them: a name that is
// odd says nothing about the others. It fails where they cannot be distinguished.
func readGeneralNames(s cryptobyte.String, f func(kind int, value []byte)) bool {
	for !s.Empty() {
		var value cryptobyte.String
		var tag cryptobyte_asn1.Tag
		if !s.ReadAnyASN1(&value, &tag) || tag&0xc0 != 0x80 {
			return false
		}
		f(int(tag&0x1f), value)
	}
	return true
}

func readSubjectAltName(c *x509.Certificate, s cryptobyte.String) bool {
	seq, ok := whole(s)
	return ok && readGeneralNames(seq, func(kind int, value []byte) {
		switch kind {
		case nameMailbox:
			c.EmailAddresses = append(c.EmailAddresses, string(value))
		case nameDNS:
			c.DNSNames = append(c.DNSNames, string(value))
		case nameIP:
			c.IPAddresses = append(c.IPAddresses, net.IP(value))
		}
	})
}

// readNameConstraints looks at the outer shape and keeps the mailboxes, for
// display: path validation reads the extension for itself.
func readNameConstraints(c *x509.Certificate, s cryptobyte.String) bool {
	seq, ok := whole(s)
	for n, mailboxes := range []*[]string{&c.PermittedEmailAddresses, &c.ExcludedEmailAddresses} {
		var list, one cryptobyte.String
		var present bool
		if !ok || !seq.ReadOptionalASN1(&list, &present, cryptobyte_asn1.Tag(n).ContextSpecific().Constructed()) {
			return false
		}
		for ok && !list.Empty() {
			var value cryptobyte.String
			var tag cryptobyte_asn1.Tag
			ok = list.ReadASN1(&one, cryptobyte_asn1.SEQUENCE) && one.ReadAnyASN1(&value, &tag)
			if ok && int(tag&0x1f) == nameMailbox {
				*mailboxes = append(*mailboxes, string(value))
			}
		}
	}
	return ok && seq.Empty()
}

// readDistributionPoints keeps the addresses; package revocation reads the
// extension for itself.
func readDistributionPoints(c *x509.Certificate, s cryptobyte.String) bool {
	seq, ok := whole(s)
	for ok && !seq.Empty() {
		var point, name, full cryptobyte.String
		var present, isFull bool
		constructed := cryptobyte_asn1.Tag(0).ContextSpecific().Constructed()
		ok = seq.ReadASN1(&point, cryptobyte_asn1.SEQUENCE) && point.ReadOptionalASN1(&name, &present, constructed) &&
			name.ReadOptionalASN1(&full, &isFull, constructed) &&
			readGeneralNames(full, func(kind int, value []byte) {
				if kind == nameURI {
					c.CRLDistributionPoints = append(c.CRLDistributionPoints, string(value))
				}
			})
	}
	return ok
}

func readInfoAccess(c *x509.Certificate, s cryptobyte.String) bool {
	seq, ok := whole(s)
	for ok && !seq.Empty() {
		var one cryptobyte.String
		var id asn1.ObjectIdentifier
		if ok = seq.ReadASN1(&one, cryptobyte_asn1.SEQUENCE); !ok || !one.ReadASN1ObjectIdentifier(&id) {
			continue // a method with numbers that are not in use
		}
		ok = readGeneralNames(one, func(kind int, value []byte) {
			switch {
			case kind == nameURI && id.Equal(oidOCSP):
				c.OCSPServer = append(c.OCSPServer, string(value))
			case kind == nameURI && id.Equal(oidIssuers):
				c.IssuingCertificateURL = append(c.IssuingCertificateURL, string(value))
			}
		})
	}
	return ok
}
