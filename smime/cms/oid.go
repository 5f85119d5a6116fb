package cms

// The object identifiers, as the contents octets of their DER encoding: they are
// compared, and never computed. The test holds them against their dotted form.

// Content types (RFC 5652, RFC 5083, RFC 3274).
const (
	oidData              = "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01"         // 1.2.840.113549.1.7.1
	oidSignedData        = "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"         // 1.2.840.113549.1.7.2
	oidEnvelopedData     = "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03"         // 1.2.840.113549.1.7.3
	oidAuthEnvelopedData = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x17" // 1.2.840.113549.1.9.16.1.23
	oidCompressedData    = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x09" // 1.2.840.113549.1.9.16.1.9
)

// Attributes (RFC 5652 section 11, RFC 8551 section 2.5, RFC 5035, RFC 6211).
const (
	oidContentType             = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x03"         // 1.2.840.113549.1.9.3
	oidMessageDigest           = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x04"         // 1.2.840.113549.1.9.4
	oidSigningTime             = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x05"         // 1.2.840.113549.1.9.5
	oidCapabilities            = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0f"         // 1.2.840.113549.1.9.15
	oidEncryptionKeyPreference = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x02\x0b" // 1.2.840.113549.1.9.16.2.11
	oidSigningCertificate      = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x02\x0c" // 1.2.840.113549.1.9.16.2.12
	oidSigningCertificateV2    = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x02\x2f" // 1.2.840.113549.1.9.16.2.47
	oidAlgorithmProtection     = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x34"         // 1.2.840.113549.1.9.52
)

// Digests (RFC 5754).
const (
	oidMD5    = "\x2a\x86\x48\x86\xf7\x0d\x02\x05"     // 1.2.840.113549.2.5
	oidSHA1   = "\x2b\x0e\x03\x02\x1a"                 // 1.3.14.3.2.26
	oidSHA256 = "\x60\x86\x48\x01\x65\x03\x04\x02\x01" // 2.16.840.1.101.3.4.2.1
	oidSHA512 = "\x60\x86\x48\x01\x65\x03\x04\x02\x03" // 2.16.840.1.101.3.4.2.3
)

// RSA (RFC 8017, RFC 4055).
const (
	oidRSA        = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01" // 1.2.840.113549.1.1.1
	oidOAEP       = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x07" // 1.2.840.113549.1.1.7
	oidMGF1       = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08" // 1.2.840.113549.1.1.8
	oidPSpecified = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x09" // 1.2.840.113549.1.1.9
	oidPSS        = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a" // 1.2.840.113549.1.1.10
	oidSHA256RSA  = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b" // 1.2.840.113549.1.1.11
)

// Elliptic curves (RFC 5480, RFC 5758, RFC 8410).
const (
	oidECPublicKey = "\x2a\x86\x48\xce\x3d\x02\x01"     // 1.2.840.10045.2.1
	oidECDSASHA1   = "\x2a\x86\x48\xce\x3d\x04\x01"     // 1.2.840.10045.4.1
	oidECDSASHA256 = "\x2a\x86\x48\xce\x3d\x04\x03\x02" // 1.2.840.10045.4.3.2
	oidECDSASHA384 = "\x2a\x86\x48\xce\x3d\x04\x03\x03" // 1.2.840.10045.4.3.3
	oidECDSASHA512 = "\x2a\x86\x48\xce\x3d\x04\x03\x04" // 1.2.840.10045.4.3.4
	oidX25519      = "\x2b\x65\x6e"                     // 1.3.101.110
	oidEd25519     = "\x2b\x65\x70"                     // 1.3.101.112
)

// ML-DSA (RFC 9882).
const (
	oidMLDSA44 = "\x60\x86\x48\x01\x65\x03\x04\x03\x11" // 2.16.840.1.101.3.4.3.17
	oidMLDSA65 = "\x60\x86\x48\x01\x65\x03\x04\x03\x12" // 2.16.840.1.101.3.4.3.18
	oidMLDSA87 = "\x60\x86\x48\x01\x65\x03\x04\x03\x13" // 2.16.840.1.101.3.4.3.19
)

// Key agreement and wrap (RFC 5753, RFC 8418, RFC 3565).
const (
	oidDHSHA1         = "\x2b\x81\x05\x10\x86\x48\x3f\x00\x02"         // 1.3.133.16.840.63.0.2
	oidDHSHA224       = "\x2b\x81\x04\x01\x0b\x00"                     // 1.3.132.1.11.0
	oidDHSHA256       = "\x2b\x81\x04\x01\x0b\x01"                     // 1.3.132.1.11.1
	oidDHSHA384       = "\x2b\x81\x04\x01\x0b\x02"                     // 1.3.132.1.11.2
	oidDHSHA512       = "\x2b\x81\x04\x01\x0b\x03"                     // 1.3.132.1.11.3
	oidCofactorSHA1   = "\x2b\x81\x05\x10\x86\x48\x3f\x00\x03"         // 1.3.133.16.840.63.0.3
	oidCofactorSHA224 = "\x2b\x81\x04\x01\x0e\x00"                     // 1.3.132.1.14.0
	oidCofactorSHA256 = "\x2b\x81\x04\x01\x0e\x01"                     // 1.3.132.1.14.1
	oidCofactorSHA384 = "\x2b\x81\x04\x01\x0e\x02"                     // 1.3.132.1.14.2
	oidCofactorSHA512 = "\x2b\x81\x04\x01\x0e\x03"                     // 1.3.132.1.14.3
	oidDHHKDF256      = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x03\x13" // 1.2.840.113549.1.9.16.3.19
	oidDHHKDF384      = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x03\x14" // 1.2.840.113549.1.9.16.3.20
	oidDHHKDF512      = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x03\x15" // 1.2.840.113549.1.9.16.3.21
	oidWrapAES128     = "\x60\x86\x48\x01\x65\x03\x04\x01\x05"         // 2.16.840.1.101.3.4.1.5
	oidWrapAES192     = "\x60\x86\x48\x01\x65\x03\x04\x01\x19"         // 2.16.840.1.101.3.4.1.25
	oidWrapAES256     = "\x60\x86\x48\x01\x65\x03\x04\x01\x2d"         // 2.16.840.1.101.3.4.1.45
	oidWrapDES3       = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x03\x06" // 1.2.840.113549.1.9.16.3.6
)

// Key encapsulation (RFC 9629, RFC 9936, RFC 8619).
const (
	oidKEMRecipientInfo = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x0d\x03" // 1.2.840.113549.1.9.16.13.3
	oidMLKEM512         = "\x60\x86\x48\x01\x65\x03\x04\x04\x01"         // 2.16.840.1.101.3.4.4.1
	oidMLKEM768         = "\x60\x86\x48\x01\x65\x03\x04\x04\x02"         // 2.16.840.1.101.3.4.4.2
	oidMLKEM1024        = "\x60\x86\x48\x01\x65\x03\x04\x04\x03"         // 2.16.840.1.101.3.4.4.3
	oidHKDFSHA256       = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x03\x1c" // 1.2.840.113549.1.9.16.3.28
	oidHKDFSHA384       = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x03\x1d" // 1.2.840.113549.1.9.16.3.29
	oidHKDFSHA512       = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x03\x1e" // 1.2.840.113549.1.9.16.3.30
)

// Content encryption and compression (RFC 3565, RFC 5084, RFC 8103, RFC 3370, RFC 3274, RFC 9709).
const (
	oidAES128CBC        = "\x60\x86\x48\x01\x65\x03\x04\x01\x02"         // 2.16.840.1.101.3.4.1.2
	oidAES192CBC        = "\x60\x86\x48\x01\x65\x03\x04\x01\x16"         // 2.16.840.1.101.3.4.1.22
	oidAES256CBC        = "\x60\x86\x48\x01\x65\x03\x04\x01\x2a"         // 2.16.840.1.101.3.4.1.42
	oidAES128GCM        = "\x60\x86\x48\x01\x65\x03\x04\x01\x06"         // 2.16.840.1.101.3.4.1.6
	oidAES192GCM        = "\x60\x86\x48\x01\x65\x03\x04\x01\x1a"         // 2.16.840.1.101.3.4.1.26
	oidAES256GCM        = "\x60\x86\x48\x01\x65\x03\x04\x01\x2e"         // 2.16.840.1.101.3.4.1.46
	oidChaCha20Poly1305 = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x03\x12" // 1.2.840.113549.1.9.16.3.18
	oidDES3CBC          = "\x2a\x86\x48\x86\xf7\x0d\x03\x07"             // 1.2.840.113549.3.7
	oidCEKHKDF          = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x03\x1f" // 1.2.840.113549.1.9.16.3.31
	oidRC2CBC           = "\x2a\x86\x48\x86\xf7\x0d\x03\x02"             // 1.2.840.113549.3.2
	oidZlib             = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x03\x08" // 1.2.840.113549.1.9.16.3.8
)
