package service

import (
	"context"
	"crypto"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/smimerelay/smimerelay/certs/enrol"
	"github.com/smimerelay/smimerelay/certs/file"
	"github.com/smimerelay/smimerelay/certs/token"
	"github.com/smimerelay/smimerelay/internal/config"
)

// openTokens opens the tokens of the configuration. One that does not answer is
// no problem of the configuration: what needs its keys waits for it.
func (b *builder) openTokens() {
	uris := b.config.Identities.Tokens
	if len(uris) == 0 || b.isKnown("identities") {
		return
	}
	// What of this cannot be read, openIdentities has complained of, or a key
	// will lack it.
	beside, _ := file.ReadCertificates(b.config.Identities.Path)
	helper, elsewhere := b.tokenHelper(), b.storesTokenKeys()
	for i, uri := range uris {
		keys, err := token.Open(token.Config{
			Token: uri, Helper: helper, Certificates: beside, Elsewhere: elsewhere, LocalPart: b.localPart(),
			Clock: b.clock, Log: b.log, Count: b.countToken,
		})
		if err != nil {
			b.complain(key("identities.tokens", i, ""), err.Error(), "")
			continue
		}
		b.parts.tokens = append(b.parts.tokens, keys)
	}
}

// storesTokenKeys reports whether the store has, or may come to have, certificates of keys in
// tokens. While it is unavailable it may.
func (b *builder) storesTokenKeys() bool {
	if slices.ContainsFunc(b.config.Enrolments, func(e config.Enrolment) bool { return e.Token != "" }) {
		return true
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTime)
	defer cancel()
	held, err := b.parts.store.HasTokenKeys(ctx)
	return err != nil || held
}

// tokenMaker has keys made in a token.
type tokenMaker struct{ *token.Keys }

// Generate implements enrol.Token.
func (t tokenMaker) Generate(kind string, id []byte, label string) (crypto.Signer, error) {
	made, err := t.Keys.Generate(kind, id, label)
	if err != nil && token.Refused(err) {
		err = &enrol.Refusal{Cause: err}
	}
	return made, err
}

// tokenOf is the token of an enrolment; nil where its keys are made here.
func (b *builder) tokenOf(e *config.Enrolment) (enrol.Token, error) {
	if e.Token == "" {
		return nil, nil
	}
	var found []*token.Keys
	var names []string
	for _, t := range b.parts.tokens {
		names = append(names, strconv.Quote(t.Name()))
		if t.Name() == e.Token {
			found = append(found, t)
		}
	}
	switch len(found) {
	case 0:
		return nil, fmt.Errorf("token %q is none of identities.tokens, which are %s", e.Token, strings.Join(names, ", "))
	case 1:
		return tokenMaker{found[0]}, nil
	}
	return nil, fmt.Errorf("token %q: several of identities.tokens have this name", e.Token)
}

// tokenHelper returns the program that uses the tokens: the one that the configuration
// names, or the one in the folder of this program.
func (b *builder) tokenHelper() string {
	if named := b.config.Identities.TokenHelper; named != "" {
		return named
	}
	self, err := os.Executable()
	if err != nil {
		return "smimerelay-token"
	}
	return filepath.Join(filepath.Dir(self), "smimerelay-token")
}
