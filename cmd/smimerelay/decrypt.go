package main

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/smime"
)

type decryptCmd struct {
	Identity     []string `required:"" sep:"none" placeholder:"FILE" help:"Decrypt with the identity in FILE: PKCS #12, or PEM with key and chain. Repeatable."`
	PasswordFile string   `placeholder:"FILE" help:"File with the password of the identities."`
	AllowWeak    bool     `help:"Also decrypt 3DES and RC2, and mail to RSA keys of 1024 bits and more."`
	Message      string   `arg:"" optional:"" help:"File with the message (default: standard input, or -)."`
}

// Help is shown below the summary.
func (decryptCmd) Help() string {
	return `Prints the decrypted message with CRLF line endings. Signatures inside it are kept, so that verify can check them. Nothing is printed unless the whole content could be decrypted. What is too large for memory is kept in an encrypted file in TMPDIR meanwhile.

Exit status: 0 decrypted, 1 not decryptable or not encrypted, 2 usage error or invalid input.`
}

func (decryptCmd) examples() string {
	return `smimerelay decrypt --identity bob.p12 --password-file bob.password message.eml
		smimerelay decrypt --identity bob.pem < message.eml | smimerelay verify --trust ca.pem`
}

// Run prints the decrypted message.
func (c *decryptCmd) Run(a *app) error {
	m, err := a.readLarge(c.Message)
	if err != nil {
		return err
	}
	defer m.Close()
	ids, err := readIdentities(c.Identity, c.PasswordFile)
	if err != nil {
		return err
	}
	opened, err := m.open(c.Message, smime.OpenOptions{Keys: certs.NewKeys(a.clock, ids...), AllowWeak: c.AllowWeak})
	if err != nil {
		return err
	}
	if !opened.Decrypted {
		return negative(fmt.Errorf("%s: %w", inputName(c.Message), notDecrypted(opened.Report, c.AllowWeak)))
	}
	_, err = opened.WriteTo(a.stdout)
	return err
}

// notDecrypted says why nothing was decrypted, and what to do.
func notDecrypted(r smime.Report, weak bool) error {
	because := ""
	if r.Detail != "" {
		because = ": " + r.Detail
	}
	switch r.Reason {
	case "no-key":
		return fmt.Errorf("none of the given identities is a recipient%s; add another one with --identity", because)
	case "weak-cipher":
		if weak {
			return fmt.Errorf("encrypted in a way that is never read%s; nothing was decrypted", because)
		}
		return fmt.Errorf("encrypted with a weak algorithm%s; use --allow-weak to accept it", because)
	case "not-decryptable":
		return fmt.Errorf("cannot be decrypted with the identity that it names%s; the key is a different one, or the message is damaged", because)
	case "unsupported-algorithm", "malformed", "too-many-layers":
		return fmt.Errorf("cannot be decrypted (%s)%s; nothing was decrypted", r.Reason, because)
	case "not-approved":
		return fmt.Errorf("encrypted in a way that FIPS 140-3 does not approve%s; decrypt it without GODEBUG=fips140=only", because)
	case "encrypted-part":
		return errors.New("only one part is encrypted; save that part as a message and decrypt it")
	}
	if r.Encryption == nil && r.Result != certs.TempError && r.Result != certs.PermError {
		return errors.New("not encrypted; nothing to do")
	}
	return fmt.Errorf("nothing was decrypted (%s)%s", cmp.Or(string(r.Reason), string(r.Result)), because)
}
