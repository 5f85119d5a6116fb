package main

import (
	"fmt"
	"io"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/cms"
)

type signCmd struct {
	Identity     string `required:"" placeholder:"FILE" help:"Sign with the identity in FILE: PKCS #12, or PEM with key and chain."`
	PasswordFile string `placeholder:"FILE" help:"File with the password of the identity."`
	Opaque       bool   `help:"Create application/pkcs7-mime instead of multipart/signed."`
	Digest       string `enum:",${digests}" default:"" placeholder:"NAME" help:"Digest: sha-256, sha-384, sha-512 (default: depends on the key)."`
	Signature    string `enum:",pkcs1,pss" default:"" placeholder:"NAME" help:"Padding of RSA signatures: pkcs1, pss."`
	Message      string `arg:"" optional:"" help:"File with the message (default: standard input, or -)."`
}

// Help is shown below the summary.
func (signCmd) Help() string {
	return `Prints the signed message with CRLF line endings. The content is converted to 7-bit first, as RFC 8551 requires; if that would break something inside, the message is signed opaque.`
}

func (signCmd) examples() string {
	return `smimerelay sign --identity alice.p12 --password-file alice.password message.eml
		smimerelay sign --identity alice.pem < message.eml | smimerelay encrypt --to bob.pem`
}

// Run prints the signed message.
func (c *signCmd) Run(a *app) error {
	m, err := a.readLargeCanonical(c.Message)
	if err != nil {
		return err
	}
	defer m.Close()
	ids, err := readIdentities([]string{c.Identity}, c.PasswordFile)
	if err != nil {
		return err
	}
	digest, _ := cms.DigestByName(c.Digest)
	return a.printWhole(func(w io.Writer) error {
		err := smime.SignStream(w, m, m.Size(), signerOf(ids, a.clock()), smime.SignOptions{
			Opaque: c.Opaque, Digest: digest, PSS: c.Signature == "pss", Time: a.clock(),
		})
		if err != nil {
			return unusable(fmt.Errorf("sign %s: %w", inputName(c.Message), err))
		}
		return nil
	})
}

// signerOf returns the first identity of a file that signs, with the certificate
// to encrypt to where the file has one apart.
func signerOf(ids []*certs.Identity, at time.Time) *certs.Identity {
	for _, id := range ids {
		if certs.Signs(id.Certificate) {
			return certs.Paired(id, ids, at)
		}
	}
	return ids[0]
}
