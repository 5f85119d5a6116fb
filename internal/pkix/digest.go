package pkix

import (
	"crypto"
	_ "crypto/md5" // hashes are made by their identifier
	_ "crypto/sha1"
	_ "crypto/sha256"
	_ "crypto/sha512"
	"strings"
)

// digests are the hash functions that S/MIME knows (RFC 5754 section 2, RFC 3370
// section 2, RFC 8702 section 3.1): the object identifier as the contents octets of its DER encoding,
// and the name as micalg has it (RFC 8551 section 3.5.3.2).
var digests = [...]struct {
	hash crypto.Hash
	oid  string
	name string
}{
	{crypto.MD5, "\x2a\x86\x48\x86\xf7\x0d\x02\x05", "md5"},
	{crypto.SHA1, "\x2b\x0e\x03\x02\x1a", "sha-1"},
	{crypto.SHA224, "\x60\x86\x48\x01\x65\x03\x04\x02\x04", "sha-224"},
	{crypto.SHA256, "\x60\x86\x48\x01\x65\x03\x04\x02\x01", "sha-256"},
	{crypto.SHA384, "\x60\x86\x48\x01\x65\x03\x04\x02\x02", "sha-384"},
	{crypto.SHA512, "\x60\x86\x48\x01\x65\x03\x04\x02\x03", "sha-512"},
	{SHAKE128, "\x60\x86\x48\x01\x65\x03\x04\x02\x0b", "shake128"},
	{SHAKE256, "\x60\x86\x48\x01\x65\x03\x04\x02\x0c", "shake256"},
}

// DigestByOID returns the hash function of an object identifier in the form of its
// contents octets, 0 if it is unknown.
func DigestByOID(oid []byte) crypto.Hash {
	for _, d := range digests {
		if d.oid == string(oid) {
			return d.hash
		}
	}
	return 0
}

// DigestOID is the inverse of DigestByOID, "" if S/MIME does not know h.
func DigestOID(h crypto.Hash) string {
	for _, d := range digests {
		if d.hash == h {
			return d.oid
		}
	}
	return ""
}

// DigestName returns the name of h as micalg has it, "" if S/MIME does not know it.
func DigestName(h crypto.Hash) string {
	for _, d := range digests {
		if d.hash == h {
			return d.name
		}
	}
	return ""
}

// DigestByName is the inverse of DigestName and tolerant: any case, with the dash or
// without it.
func DigestByName(name string) (crypto.Hash, bool) {
	name = strings.ReplaceAll(strings.ToLower(name), "-", "")
	for _, d := range digests {
		if strings.ReplaceAll(d.name, "-", "") == name {
			return d.hash, true
		}
	}
	return 0, false
}
