package certs

import (
	"crypto"
	"fmt"
	"io"

	"github.com/smimerelay/smimerelay/smime/cms"
)

// TokenKey stands for a private key that is in a token, and that the store knows by its public
// half alone. Package certs/token finds the key itself.
type TokenKey struct {
	Half crypto.PublicKey
	// Token is the name of the token in which it was made; the key may have moved since.
	Token string
}

// Public implements crypto.Signer.
func (k *TokenKey) Public() crypto.PublicKey { return k.Half }

// Sign implements crypto.Signer, so that the identity is found for signing. It always fails: the
// key itself signs.
func (k *TokenKey) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, fmt.Errorf("%w: the key is in the token %q", cms.ErrDevice, k.Token)
}
