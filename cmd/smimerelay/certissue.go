package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/ca"
	"github.com/smimerelay/smimerelay/certs/file"
	"github.com/smimerelay/smimerelay/service"
	"github.com/smimerelay/smimerelay/smime/address"
)

type certIssueCmd struct {
	authorityFlags
	JSON         bool     `name:"json" help:"Print what was issued as JSON."`
	Key          string   `enum:",auto,p256,p384,rsa2048,rsa3072,rsa4096,ml-dsa-44,ml-dsa-65,ml-dsa-87" default:"" placeholder:"KIND" help:"Key type: auto (what all partners can use), p256, p384, rsa2048, rsa3072, rsa4096, ml-dsa-44, ml-dsa-65, ml-dsa-87 (default: ca.key_type). With ML-DSA there are always two certificates: the second one has an ML-KEM key."`
	Days         int      `placeholder:"N" help:"Days of validity, at most 825 (default: ca.validity)."`
	Separate     bool     `help:"Issue two certificates with separate keys, one for signing and one for encryption, as ca.separate_keys does."`
	Again        bool     `help:"Issue even if an address has a certificate of the CA that is still valid."`
	File         string   `placeholder:"FILE" help:"Also issue for the addresses in FILE, one per line."`
	CSR          string   `name:"csr" placeholder:"FILE" help:"Certify the key of the request in FILE (PKCS #10, PEM or DER), for one address; the certificate and the issuing CA go to standard output in PEM."`
	Out          string   `placeholder:"FILE" help:"Also write the identity to FILE (PKCS #12); for one address without --separate."`
	PasswordFile string   `placeholder:"FILE" help:"File with the password of the file of --out."`
	Address      []string `arg:"" optional:"" name:"address" help:"Addresses in the local domains."`
}

// Help is shown below the summary.
func (certIssueCmd) Help() string {
	return `The built-in CA (ca init) issues a certificate for each address. The store keeps it with its private key, and the gateway signs with it from now on. Earlier identities of the address are still used to decrypt. If one of them is still valid, the command asks at a terminal, and wants --again elsewhere. All addresses are checked before the first certificate is issued; if an error occurs later, the certificates already printed have been issued.`
}

func (certIssueCmd) examples() string {
	return `smimerelay cert issue alice@example.com
		smimerelay cert issue --key rsa4096 --days 730 --out alice.p12 --password-file alice.password alice@example.com
		smimerelay cert issue --csr bob.csr bob@example.com > bob.pem
		smimerelay cert issue --file staff.txt --json`
}

// issued is what --json prints of a certificate.
type issued struct {
	Address  string    `json:"address"`
	SHA256   string    `json:"sha256"`
	Serial   string    `json:"serial"`
	NotAfter time.Time `json:"not_after"`
	// Signs and Encrypts tell what the key is for.
	Signs    bool `json:"signs"`
	Encrypts bool `json:"encrypts"`
}

// Run issues for one address after the other.
func (c *certIssueCmd) Run(a *app) error {
	addresses, err := c.addresses()
	if err != nil {
		return unusable(err)
	}
	password, err := c.password(len(addresses))
	if err != nil {
		return unusable(err)
	}
	if c.CSR != "" {
		return c.request(a, addresses)
	}
	return c.with(a, func(ctx context.Context, o *authorities) error {
		requests, err := c.requests(o, addresses)
		if err != nil {
			return unusable(err)
		}
		if err := c.again(ctx, a, o, addresses); err != nil {
			return err
		}
		all := []issued{}
		for _, r := range requests {
			ids, err := o.Issue(ctx, r)
			if err != nil {
				return err
			}
			if c.Out != "" {
				if err := writeIdentity(c.Out, ids[0], password); err != nil {
					return err
				}
			}
			for _, id := range ids {
				all = append(all, describeIssued(r.Address, id))
				if !c.JSON {
					a.page().line("%s until %s", name(id.Certificate), id.Certificate.NotAfter.UTC().Format(time.DateOnly))
				}
			}
		}
		if c.JSON {
			return a.printJSON(all)
		}
		return nil
	})
}

// addresses reads the arguments and the file.
func (c *certIssueCmd) addresses() ([]address.Address, error) {
	texts := c.Address
	if c.File != "" {
		data, err := os.ReadFile(c.File)
		if err != nil {
			return nil, fmt.Errorf("--file: %w", err)
		}
		for line := range strings.Lines(strings.TrimPrefix(string(data), "\uFEFF")) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				texts = append(texts, line)
			}
		}
	}
	if len(texts) == 0 {
		return nil, errors.New("ADDRESS: missing; give at least one, or use --file")
	}
	var list []address.Address
	seen := map[string]bool{}
	for _, text := range texts {
		addr, err := address.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("%w; write local@domain", err)
		}
		if key := addr.Key(address.ExactCase); !seen[key] {
			seen[key] = true
			list = append(list, addr)
		}
	}
	return list, nil
}

// password reads and checks the one for --out before anything is issued.
func (c *certIssueCmd) password(addresses int) (string, error) {
	if c.Out == "" {
		return "", nil
	}
	if addresses > 1 || c.Separate || ca.TwoKeys(c.Key) {
		return "", errors.New("--out: only for one identity; use smimerelay cert export for several")
	}
	if _, err := os.Lstat(c.Out); err == nil {
		return "", fmt.Errorf("--out: %s already exists", c.Out)
	}
	password, err := readPassword(c.PasswordFile)
	if err == nil {
		err = file.CheckPassword(password)
	}
	if err != nil {
		return "", fmt.Errorf("--out: %w; give --password-file", err)
	}
	return password, nil
}

// requests are the orders for all addresses, each of which is ours and can have a
// certificate.
func (c *certIssueCmd) requests(o *authorities, addresses []address.Address) ([]ca.Request, error) {
	if c.Days < 0 {
		return nil, errors.New("--days: give a number above 0")
	}
	if c.Out != "" && (o.config.CA.SeparateKeys || c.Key == "" && ca.TwoKeys(o.config.CA.KeyType)) {
		return nil, errors.New("--out: only for one identity, but ca.separate_keys or ca.key_type issues two; use smimerelay cert export")
	}
	var list []ca.Request
	for _, addr := range addresses {
		r, err := o.Request(service.Order{Address: addr, Key: c.Key, Days: c.Days, Separate: c.Separate})
		if err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, nil
}

func describeIssued(addr address.Address, id *certs.Identity) issued {
	cert := id.Certificate
	return issued{
		Address: addr.String(), SHA256: fmt.Sprintf("%x", sha256.Sum256(cert.Raw)), Serial: fmt.Sprintf("%x", cert.SerialNumber),
		NotAfter: cert.NotAfter.UTC(), Signs: certs.Signs(cert), Encrypts: certs.Decrypts(cert),
	}
}

// writeIdentity writes an identity that is in the store already.
func writeIdentity(path string, id *certs.Identity, password string) error {
	data, err := file.EncodePKCS12(id, password, file.Modern)
	if err == nil {
		err = writeNew(path, data)
	}
	if err != nil {
		return unusable(fmt.Errorf("--out: the identity was issued and stored, but not written to the file: %w; use smimerelay cert export", err))
	}
	return nil
}
