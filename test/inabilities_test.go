package test

// inabilities of the peers in Debian 12, each seen. The first that matches is
// the reason printed.
var inabilities = []inability{
	{"OpenSSL", "", "Ed25519", "OpenSSL 3.0's CMS asks for a digest beside EdDSA, which has its own."},
	{"OpenSSL", "", "X25519", "OpenSSL 3.0's CMS has no key agreement with X25519 (RFC 8418)."},
	{"OpenSSL", "", "chacha20", "OpenSSL 3.0's CMS does not know the identifier of ChaCha20-Poly1305 (RFC 8103)."},

	{"GnuPG", "writes", "pss", "gpgsm has no option to sign with PSS."},
	{"GnuPG", "reads", "P-521", "gpgsm 2.2.40 fails on P-521 with an internal error: it takes 521 bits for the length of a digest."},
	{"GnuPG", "", "Ed25519|X25519", "gpgsm 2.2 has neither Ed25519 nor X25519."},
	{"GnuPG", "writes", "ECDSA", "gpgsm 2.2.40 crashes when it imports an EC key, so it has none to sign with."},
	{"GnuPG", "writes", "ECDH", "gpgsm 2.2.40 does not encrypt to a certificate with keyAgreement alone."},
	{"GnuPG", "reads", "ECDH", "gpgsm 2.2.40 crashes when it imports an EC key, so it has none to decrypt with."},
	{"GnuPG", "", "oaep", "gpgsm 2.2 has no OAEP."},
	{"GnuPG", "", "gcm|chacha20", "gpgsm 2.2 has no AuthEnvelopedData (RFC 5083)."},

	{"NSS", "writes", "pss", "cmsutil has no option to sign with PSS."},
	{"NSS", "", "Ed25519|X25519", "NSS 3.87 has neither Ed25519 nor X25519 in CMS."},
	{"NSS", "", "ECDH", "NSS 3.87's CMS has no elliptic curve key agreement."},
	{"NSS", "", "oaep", "NSS 3.87's CMS has no OAEP."},
	{"NSS", "reads", "gcm|chacha20", "NSS 3.87 has no AuthEnvelopedData (RFC 5083)."},
	{"NSS", "writes", "192|256-cbc|gcm|chacha20", "cmsutil has no option for the cipher: it writes AES-128-CBC."},

	{"Bouncy Castle", "", "X25519", "Bouncy Castle 1.72's CMS has no key agreement with X25519 (RFC 8418)."},
	{"Bouncy Castle", "writes", "chacha20", "Bouncy Castle 1.72 does not write ChaCha20-Poly1305 in CMS."},
	{"Bouncy Castle", "reads", "ECDH P-256, chacha20|ECDH P-384, chacha20|ECDH P-521, chacha20",
		"Bouncy Castle 1.72 has no recipient for key agreement in AuthEnvelopedData; the one that the test adds is for AES-GCM."},
}
