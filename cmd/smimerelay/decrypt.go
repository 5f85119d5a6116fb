package main

import (
	"errors"
	"fmt"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/smime"
)

type decryptCmd struct {
	Identity     []string `required:"" sep:"none" placeholder:"FILE" help:"Decrypt with the identity in FILE: PKCS #12, or PEM with key and chain. Repeatable."`
	PasswordFile string   `placeholder:"FILE" help:"File with the password of the identities."`
	Message      string   `arg:"" optional:"" help:"File with the message; standard input when absent or -."`
}

func (decryptCmd) examples() string {
	return `smimerelay decrypt --identity bob.p12 --password-file bob.password message.eml
		smimerelay decrypt --identity bob.pem < message.eml | smimerelay verify --trust ca.pem`
}

// Run prints the message with what was encrypted brought to the surface:
// signatures inside stay, so that they can be verified.
func (c *decryptCmd) Run(a *app) error {
	m, err := a.readMessage(c.Message)
	if err != nil {
		return err
	}
	ids, err := readIdentities(c.Identity, c.PasswordFile)
	if err != nil {
		return err
	}
	opened := smime.Open(background(), m, smime.OpenOptions{Keys: certs.NewKeys(a.clock, ids...)})
	if !opened.Decrypted {
		return negative(fmt.Errorf("%s: %w", inputName(c.Message), notDecrypted(opened.Report)))
	}
	_, err = a.stdout.Write(opened.Message.Bytes())
	return err
}

func notDecrypted(r smime.Report) error {
	if r.Encryption == nil {
		return errors.New("is not encrypted; nothing to do")
	}
	return errors.New("could not be decrypted; give the identity of one of its recipients")
}
