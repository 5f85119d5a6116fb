//go:build !pkcs11

package token

import "errors"

var errNotBuilt = errors.New("this binary was built without PKCS #11, which requires cgo; build it with: make build-pkcs11")

// Open checks the URI and says that this binary knows no tokens.
func Open(c Config) (Keys, error) {
	if _, err := parseURI(c.URI); err != nil {
		return nil, err
	}
	return nil, errNotBuilt
}
