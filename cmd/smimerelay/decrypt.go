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
	AllowWeak    bool     `help:"Decrypt 3DES and RC2, and with RSA keys from 1024 bits, too."`
	Message      string   `arg:"" optional:"" help:"File with the message; standard input when absent or -."`
}

// Help is shown below the summary.
func (decryptCmd) Help() string {
	return `Prints the message with what was encrypted brought to the surface, and CRLF line ends; signatures inside stay, so that verify can judge them. Nothing is printed unless the content is whole.

Exit status: 0 decrypted, 1 not decryptable or not encrypted, 2 the call or the input could not be used.`
}

func (decryptCmd) examples() string {
	return `smimerelay decrypt --identity bob.p12 --password-file bob.password message.eml
		smimerelay decrypt --identity bob.pem < message.eml | smimerelay verify --trust ca.pem`
}

// Run prints the decrypted message.
func (c *decryptCmd) Run(a *app) error {
	m, err := a.readMessage(c.Message)
	if err != nil {
		return err
	}
	ids, err := readIdentities(c.Identity, c.PasswordFile)
	if err != nil {
		return err
	}
	opened := smime.Open(background(), m, smime.OpenOptions{Keys: certs.NewKeys(a.clock, ids...), AllowWeak: c.AllowWeak})
	if !opened.Decrypted {
		return negative(fmt.Errorf("%s: %w", inputName(c.Message), notDecrypted(opened.Report)))
	}
	_, err = a.stdout.Write(opened.Message.Bytes())
	return err
}

// notDecrypted says why nothing was decrypted, and what to do.
func notDecrypted(r smime.Report) error {
	because := ""
	if r.Detail != "" {
		because = ": " + r.Detail
	}
	switch r.Reason {
	case "no-key":
		return fmt.Errorf("no identity given is one of its recipients%s; give one with --identity", because)
	case "weak-cipher":
		return fmt.Errorf("is encrypted in a way that is too weak%s; accept it with --allow-weak", because)
	case "not-decryptable":
		return fmt.Errorf("does not open with the identity that it names%s; the key is another one, or the message is damaged", because)
	case "unsupported-algorithm", "malformed", "too-many-layers":
		return fmt.Errorf("cannot be opened (%s)%s; nothing was decrypted", r.Reason, because)
	case "encrypted-part":
		return errors.New("only a part of it is encrypted; save that part as a message and decrypt it")
	}
	return errors.New("is not encrypted; nothing to do")
}
