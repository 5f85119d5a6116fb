package file

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/certs"
)

// identitySuffixes are the names that count in a folder of identities.
var identitySuffixes = []string{".p12", ".pfx", ".pem"}

// OpenIdentities reads all identities of a folder, .p12, .pfx and .pem, or one
// file. NAME.password beside NAME.p12 holds its password; passwordFile, which may
// be "", that of all others. A file that holds a private key or a password
// must not be readable by others. A .pem file without a private key is passed
// over. All problems are reported together. A nil clock is time.Now.
func OpenIdentities(path, passwordFile string, clock func() time.Time) (*certs.FileKeys, error) {
	var common string
	if passwordFile != "" {
		var err error
		if common, _, err = ReadSecret(passwordFile); err != nil {
			return nil, err
		}
	}
	files, err := filesOf(path, identitySuffixes)
	if err != nil {
		return nil, fmt.Errorf("identities: %w", err)
	}
	var ids []*certs.Identity
	var problems []error
	for _, f := range files {
		found, err := openIdentities(f, common)
		if err != nil {
			problems = append(problems, err)
		}
		ids = append(ids, found...)
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return certs.NewKeys(clock, ids...), nil
}

// openIdentities returns none where the file is public only.
func openIdentities(file, common string) ([]*certs.Identity, error) {
	if public, err := publicOnly(file); err != nil || public {
		return nil, err
	}
	if err := CheckPrivate(file); err != nil {
		return nil, err
	}
	password, err := PasswordFor(file, common)
	if err != nil {
		return nil, err
	}
	return ReadIdentities(file, password)
}

// publicOnly reports whether file is PEM without a private key.
func publicOnly(file string) (bool, error) {
	if !strings.EqualFold(filepath.Ext(file), ".pem") {
		return false, nil
	}
	data, err := readLimited(file, maxFile)
	return err == nil && !MayHoldKeys(data), err
}
