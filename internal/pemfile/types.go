package pemfile

import "encoding/pem"

// The types of blocks, as Blocks returns them (RFC 7468). Private keys have types of
// their own that end in PRIVATE KEY.
const (
	Certificate        = "CERTIFICATE"
	TrustedCertificate = "TRUSTED CERTIFICATE" // of OpenSSL
	CRL                = "X509 CRL"
	PKCS7              = "PKCS7"
)

// known are the types of blocks by how files write them; one that is not known may be
// mistyped, and what is in it would be missed.
var known = map[string]string{
	Certificate: Certificate, "X509 CERTIFICATE": Certificate, "X.509 CERTIFICATE": Certificate, // RFC 7468 section 5.1
	TrustedCertificate: TrustedCertificate,
	CRL:                CRL, "CRL": CRL, // section 6
	PKCS7: PKCS7, "CMS": PKCS7, "PKCS #7 SIGNED DATA": PKCS7, "CERTIFICATE CHAIN": PKCS7, // sections 8 and 9
	"PRIVATE KEY": "PRIVATE KEY", "ENCRYPTED PRIVATE KEY": "ENCRYPTED PRIVATE KEY",
	"RSA PRIVATE KEY": "RSA PRIVATE KEY", "EC PRIVATE KEY": "EC PRIVATE KEY",
	"DSA PRIVATE KEY": "DSA PRIVATE KEY", "OPENSSH PRIVATE KEY": "OPENSSH PRIVATE KEY", "ANY PRIVATE KEY": "ANY PRIVATE KEY",
	// What stands beside certificates and keys.
	"PUBLIC KEY": "PUBLIC KEY", "RSA PUBLIC KEY": "PUBLIC KEY",
	"CERTIFICATE REQUEST": "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST": "CERTIFICATE REQUEST",
	"ATTRIBUTE CERTIFICATE": "ATTRIBUTE CERTIFICATE",
	"EC PARAMETERS":         "PARAMETERS", "DH PARAMETERS": "PARAMETERS", "DSA PARAMETERS": "PARAMETERS", "X9.42 DH PARAMETERS": "PARAMETERS",
}

// typed sets the type of a block to the one that it is known by, and reports whether
// there is one.
func typed(b *pem.Block) bool {
	t, ok := known[b.Type]
	if ok {
		b.Type = t
	}
	return ok
}
