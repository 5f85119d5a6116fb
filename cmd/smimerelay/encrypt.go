package main

import (
	"fmt"
	"io"

	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/cms"
)

type encryptCmd struct {
	To           []string `required:"" sep:"none" placeholder:"CERT" help:"Encrypt to the certificates in this file (PEM, DER, .p7b). Repeatable."`
	Cipher       string   `enum:",${ciphers}" default:"" placeholder:"NAME" help:"Content encryption: aes-128-cbc, aes-192-cbc, aes-256-cbc (default), aes-128-gcm, aes-256-gcm, chacha20-poly1305."`
	KeyTransport string   `enum:",auto,pkcs1,oaep" default:"" placeholder:"NAME" help:"Padding of RSA key transport: pkcs1, oaep, auto (default: pkcs1, and oaep with GODEBUG=fips140=only)."`
	DeriveKey    bool     `help:"Derive the content encryption key with HKDF, so that the cipher cannot be changed (RFC 9709). Few clients can read it."`
	Message      string   `arg:"" optional:"" help:"File with the message (default: standard input, or -)."`
}

// Help is shown below the summary.
func (encryptCmd) Help() string {
	return `Prints one message encrypted to all given certificates, with CRLF line endings. Key agreement and ML-KEM are used if the recipient's key requires it. The certificates are used without checking them; use "cert check" for that.`
}

func (encryptCmd) examples() string {
	return `smimerelay encrypt --to bob.pem --to carol.cer message.eml
		smimerelay encrypt --to bob.pem --cipher aes-256-gcm < message.eml`
}

// Run prints the encrypted message.
func (c *encryptCmd) Run(a *app) error {
	to, err := readCertificates("--to", c.To)
	if err != nil {
		return err
	}
	message, closer, err := a.openMessage(c.Message)
	if err != nil {
		return unusable(err)
	}
	defer closer.Close()
	return a.printWhole(func(w io.Writer) error {
		err := smime.EncryptStream(w, message, to, smime.EncryptOptions{
			Cipher: cms.Cipher(c.Cipher), KeyTransport: cms.KeyTransport(c.KeyTransport), DeriveKey: c.DeriveKey})
		if err != nil {
			return unusable(fmt.Errorf("encrypt %s: %w", inputName(c.Message), err))
		}
		return nil
	})
}
