package listeners

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/base64"

	"github.com/smimerelay/smimerelay/certs/file"
	"github.com/smimerelay/smimerelay/test/bench/floor"
)

// jobs are the names of what a filter may have to do with a message. The key is that of
// the sender where the job signs, and that of the recipient elsewhere.
var jobs = []string{"pass", "verify-rsa", "verify-p256", "sign-p256", "sign-rsa", "encrypt", "sign-encrypt", "decrypt"}

// signatureSize is the size of a SignedData object with a certificate and its
// intermediate authority, encryptedSize that of an EnvelopedData object around the content.
const signatureSize, encryptedSize = 2800, 500

// job does the primitives of one kind on a message, and sends edits of the size that
// they need.
type job struct {
	name    string
	key     floor.Key
	block   cipher.Block
	scratch []byte
	text    bytes.Buffer
}

func newJob(name, identity string) (*job, error) {
	j := &job{name: name}
	if name == "pass" {
		return j, nil
	}
	ids, err := file.ReadIdentities(identity, "")
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256([]byte(name))
	j.key = floor.NewKey(ids[0].Key, digest[:])
	j.block, err = aes.NewCipher(make([]byte, 32))
	return j, err
}

// fresh returns a job with the same keys, for one connection.
func (j *job) fresh() *job { return &job{name: j.name, key: j.key, block: j.block} }

func (j *job) run(m *bareMilter, message []byte, body int) {
	j.text.Reset()
	content := message[body:]
	switch j.name {
	case "pass":
	case "verify-rsa", "verify-p256":
		sha256.Sum256(content)
		j.key.Verify()
		j.status(m)
	case "sign-p256", "sign-rsa":
		j.sign(content)
		m.replaceField("Content-Type", `multipart/signed; protocol="application/pkcs7-signature"; micalg=sha-256; boundary="b"`)
		m.replaceField("Content-Transfer-Encoding", "")
		m.replaceBody(j.text.Bytes())
	case "encrypt":
		j.encrypt(content)
		j.replaceEncrypted(m)
	case "sign-encrypt":
		j.sign(content)
		signed := bytes.Clone(j.text.Bytes())
		j.text.Reset()
		j.encrypt(signed)
		j.replaceEncrypted(m)
	case "decrypt":
		plain := j.decrypt(content)
		m.replaceField("Content-Type", "text/plain")
		m.replaceField("Content-Transfer-Encoding", "7bit")
		m.replaceBody(plain)
		j.status(m)
	}
}

func (j *job) status(m *bareMilter) {
	m.addField("Authentication-Results", "gw.bench.example; smime=pass (sha256RSA, trusted chain) body.smime-identifier=rsa@partner.example")
	m.addField("X-SMIME-Status", "pass; signed=yes; encrypted=no; signer=rsa@partner.example; chain=trusted; revocation=good")
}

func (j *job) replaceEncrypted(m *bareMilter) {
	m.replaceField("Content-Type", `application/pkcs7-mime; smime-type=enveloped-data; name="smime.p7m"`)
	m.replaceField("Content-Transfer-Encoding", "base64")
	m.replaceBody(j.text.Bytes())
}

// sign writes the multipart around the content and a signature.
func (j *job) sign(content []byte) {
	sha256.Sum256(content)
	j.key.Sign()
	j.text.WriteString("--b\r\nContent-Type: text/plain\r\n\r\n")
	j.text.Write(content)
	j.text.WriteString("\r\n--b\r\nContent-Type: application/pkcs7-signature\r\nContent-Transfer-Encoding: base64\r\n\r\n")
	j.base64(make([]byte, signatureSize))
	j.text.WriteString("--b--\r\n")
}

// encrypt writes the base64 of the encrypted content.
func (j *job) encrypt(content []byte) {
	j.key.Wrap()
	n := (len(content)/aes.BlockSize + 1) * aes.BlockSize
	if cap(j.scratch) < n+encryptedSize {
		j.scratch = make([]byte, n+encryptedSize)
	}
	out := j.scratch[:n+encryptedSize]
	copy(out[encryptedSize:], content)
	cipher.NewCBCEncrypter(j.block, out[:aes.BlockSize]).CryptBlocks(out[encryptedSize:], out[encryptedSize:])
	j.base64(out)
}

// decrypt returns what the base64 holds, decrypted.
func (j *job) decrypt(content []byte) []byte {
	j.key.Unwrap()
	content = bytes.ReplaceAll(content, []byte("\r\n"), nil)
	if n := base64.StdEncoding.DecodedLen(len(content)); cap(j.scratch) < n {
		j.scratch = make([]byte, n)
	}
	n, _ := base64.StdEncoding.Decode(j.scratch[:cap(j.scratch)], content)
	out := j.scratch[:n/aes.BlockSize*aes.BlockSize]
	cipher.NewCBCDecrypter(j.block, make([]byte, aes.BlockSize)).CryptBlocks(out, out)
	return out
}

// base64 writes lines of 76 characters.
func (j *job) base64(data []byte) {
	const line = 57
	var out [78]byte
	out[76], out[77] = '\r', '\n'
	for len(data) >= line {
		base64.StdEncoding.Encode(out[:], data[:line])
		j.text.Write(out[:])
		data = data[line:]
	}
	j.text.WriteString(base64.StdEncoding.EncodeToString(data) + "\r\n")
}
