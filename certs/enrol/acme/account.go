package acme

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/mholt/acmez/v3/acme"

	"github.com/smimerelay/smimerelay/certs/file"
)

// registered returns the account, which is made where there is none. All who use the store
// have the same one.
func (p *Provider) registered(ctx context.Context) (acme.Account, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.account != nil {
		return *p.account, nil
	}
	key, err := p.accountKey(ctx)
	if err != nil {
		return acme.Account{}, fmt.Errorf("ACME account: %w", err)
	}
	account, err := p.client.GetAccount(ctx, acme.Account{PrivateKey: key})
	if isProblem(err, acme.ProblemTypeAccountDoesNotExist) {
		account, err = p.register(ctx, key)
	}
	if err != nil {
		return acme.Account{}, p.judged(err)
	}
	if account.Status != acme.StatusValid {
		return acme.Account{}, fmt.Errorf("ACME server: the account %s is %s; ask the CA, or give the table another name for a new account", account.Location, account.Status)
	}
	account.PrivateKey = key
	p.account = &account
	return account, nil
}

// register makes the account. Repeated with the same key it returns the one that is there
// (RFC 8555 section 7.3).
func (p *Provider) register(ctx context.Context, key *ecdsa.PrivateKey) (acme.Account, error) {
	account := acme.Account{PrivateKey: key, TermsOfServiceAgreed: p.AcceptTerms}
	if p.Contact != "" {
		account.Contact = []string{"mailto:" + p.Contact}
	}
	dir, err := p.client.GetDirectory(ctx)
	if err != nil {
		return account, err
	}
	if m := dir.Meta; m != nil && m.TermsOfService != "" && !p.AcceptTerms {
		return account, fmt.Errorf("the CA wants its terms to be accepted: %s; read them, and set accept_terms = true", m.TermsOfService)
	}
	if dir.Meta != nil && dir.Meta.ExternalAccountRequired && p.EABKeyID == "" {
		return account, errors.New("the CA wants an account that it knows; set eab_key_id and eab_key_file to what it gave you")
	}
	if p.EABKeyID != "" {
		mac, _, err := file.ReadSecret(p.EABKeyFile)
		if err != nil {
			return account, fmt.Errorf("eab_key_file: %w", err)
		}
		// Authorities hand it out in either alphabet, with and without padding.
		mac = strings.NewReplacer("+", "-", "/", "_", "=", "").Replace(strings.TrimSpace(mac))
		if err := account.SetExternalAccountBinding(ctx, p.client, acme.EAB{KeyID: p.EABKeyID, MACKey: mac}); err != nil {
			return account, fmt.Errorf("eab_key_file: %w", err)
		}
	}
	return p.client.NewAccount(ctx, account)
}

// accountKey is made of a secret that the store keeps sealed: no process that dies can leave
// an account without its key.
func (p *Provider) accountKey(ctx context.Context) (*ecdsa.PrivateKey, error) {
	name := sha256.Sum256([]byte(p.Enrolment + "\x00" + p.URL + "\x00" + p.EABKeyID))
	secret, err := p.Store.Secret(ctx, "acme-"+hex.EncodeToString(name[:]))
	if err != nil {
		return nil, err
	}
	return keyOf(secret)
}

// keyOf makes a P-256 key of a secret (FIPS 186-5 appendix A.2.1: 64 bits more than the
// order has, so that no key is likelier than another).
func keyOf(secret []byte) (*ecdsa.PrivateKey, error) {
	seed, err := hkdf.Key(sha256.New, secret, nil, "smimerelay ACME account key", 40)
	if err != nil {
		return nil, err
	}
	curve := elliptic.P256()
	last := new(big.Int).Sub(curve.Params().N, big.NewInt(1))
	d := new(big.Int).Mod(new(big.Int).SetBytes(seed), last)
	return ecdsa.ParseRawPrivateKey(curve, d.Add(d, big.NewInt(1)).FillBytes(make([]byte, 32)))
}

// forget has the account asked for again.
func (p *Provider) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.account = nil
}
