// Package cms reads and writes the Cryptographic Message Syntax (RFC 5652) with
// the algorithms that S/MIME 4.0 (RFC 8551) asks for. It knows bytes, keys and
// certificates only: no mail, no files, no network, no clock, and no trust in a
// certificate, which is package certs' to judge.
//
// # Reading
//
// ContentType says what an object is. ParseSignedData and ParseEnvelopedData
// take it apart without copying, Decompress opens compressed data:
//
//	s, err := cms.ParseSignedData(ber)
//	for _, r := range s.Verify(cms.VerifyOptions{Content: [][]byte{part}}) {
//		if r.Err == nil {
//			// r.Certificate signed part, if the caller trusts it
//		}
//	}
//
// Each signer has a result of its own; what several of them mean together is
// the caller's policy. Where a content of the caller's is given it is what was
// verified, even if the object bears another one. Signed attributes are
// demanded, because without them a signature over attributes can be presented
// as one over a content; an attribute that is doubled, has several values, or
// is not signed though it must be, fails the signature.
//
// A message to several recipients is opened with the key of any one:
//
//	e, err := cms.ParseEnvelopedData(ber)
//	for i, r := range e.Recipients {
//		// find a key for r.ID, then
//		plain, err := e.Decrypt(i, key, cms.DecryptOptions{})
//	}
//
// # Writing
//
// Sign and Encrypt do all that can fail and return an Object, whose Len is
// exact. The content is encrypted or copied when the Object is written, straight
// to where it belongs. A caller who wants base64 can let AppendTo write into the
// tail of the final buffer, and encode from there towards the front: the text
// grows slower than the octets are used up.
//
// Protocols that are not mail have content types and attributes of their own:
// SignRequest.ContentType, Signer.Attributes, Signer.Unsigned for what depends on the
// signature, such as a time stamp, and Signer.Bare where there must be no signed
// attributes. SignRequest.Element writes what PKCS #7 1.5 wrote, as Authenticode
// wants it.
//
// # Streams
//
// What is too large for memory goes from an io.Reader to an io.Writer through a buffer of
// 32 kB: by SignStream and EncryptStream, and back by ReadSignedData and
// ReadEnvelopedData. Digest does for detached signatures what Content does for others.
//
//	err := cms.EncryptStream(w, cms.EncryptRequest{Recipients: to}, r, -1)
//
//	e, err := cms.ReadEnvelopedData(r, spool)
//	err = e.DecryptTo(w, i, key, cms.DecryptOptions{})
//
// A ciphertext may have been changed anywhere, and only its end tells. So it is spooled,
// still encrypted, and DecryptTo reads the spool twice: first to check the tag or the
// padding, and then to write. A reader that shows, follows or answers what it decrypts
// before its end lets others read it (RFC 8551 section 6). A padding is no proof of
// anything: only authenticated ciphers are. A signed content is no secret, and
// ReadSignedData hands it on as it comes: what the writer makes of it must wait for Verify.
//
// # Keys
//
// Private keys are interfaces, so that they may live in hardware: a
// crypto.Signer to sign, and to decrypt a crypto.Decrypter (RSA, with
// *rsa.PKCS1v15DecryptOptions or *rsa.OAEPOptions), an ecdh.KeyExchanger
// (Diffie-Hellman; *ecdsa.PrivateKey serves too), or a crypto.Decapsulator (ML-KEM). PublicKey finds the key
// of a certificate also where x509 does not know its kind.
//
// # Hostile input
//
// Everything read here may have been made by an attacker:
//
//   - BER is walked once from front to back by a cursor, so that time is linear
//     in the octets, whatever the nesting and however small the pieces. Nesting
//     ends at 64 levels. Nothing is allocated by a length that was only claimed.
//   - There are caps on certificates (200, of 128 kB), signers (50), recipients (10,000 on
//     reading, 2,000 on writing), attributes (100, and 1 MB), CRLs (200), and on
//     the size and the ratio of compressed data. RSA keys have 2,048 to 8,192
//     bits.
//   - After a recipient was chosen there is one error, ErrDecrypt, but for a
//     device that does not answer whatever it is asked (ErrDevice). Where the
//     content key can not be recovered, a random one is used and the content
//     tried with it, so that a malformed RSA block and a bad padding look the
//     same and take the same path (RFC 3218). No plaintext is returned before
//     its tag or padding was checked.
//   - AES-GCM and ChaCha20-Poly1305 live in AuthEnvelopedData only, and CBC in
//     EnvelopedData only (RFC 5084 section 3, RFC 5083 section 2.1): a message
//     can not be moved from one to the other.
//   - SHA-1, 3DES, RC2 and RSA keys from 1,024 bits are read where the caller's
//     AllowWeak says so and the result is reported as weak. MD5 is never.
//
// # Errors
//
// Every error wraps one of the package's sentinels: see ErrMalformed and those
// after it. What differs in its text depends only on what the message says
// openly.
package cms
