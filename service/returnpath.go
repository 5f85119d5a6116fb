package service

import (
	"cmp"
	"context"
	"crypto/rand"

	"github.com/smimerelay/smimerelay/relay/returnpath"
)

// returnPath makes the envelope senders of mail that was encrypted when it came in.
// Also where they are not made any more, those that were are still understood.
func (b *builder) returnPath() *returnpath.Path {
	return b.pathIn("inbound.bounce_domain", cmp.Or(b.config.Inbound.BounceDomain, b.name))
}

// questionPath makes the envelope senders of questions; nil where they leave with the null sender.
func (b *builder) questionPath() *returnpath.Path {
	if b.config.Ask.Bounces == "" {
		return nil
	}
	return b.pathIn("ask.bounce_domain", b.config.Ask.Bounces)
}

// pathIn makes addresses in the domain of a key.
func (b *builder) pathIn(key, domain string) *returnpath.Path {
	secret, err := b.parts.store.returnSecret(b.serving)
	if err != nil {
		b.complain("store.url", "the key of the return path: "+err.Error(), "check that the database is available and writable")
		return nil
	}
	p, err := returnpath.New(secret, domain)
	if err != nil {
		b.complain(key, err.Error(), "write a domain such as bounce.example.com")
	}
	return p
}

// returnSecret is the key of the return path. It is in the store, so that all nodes
// have it and it survives a restart; where nothing is served, nothing is stored.
func (s *sharedStore) returnSecret(serving bool) ([]byte, error) {
	if !serving {
		secret := make([]byte, returnpath.KeySize)
		rand.Read(secret) // never fails
		return secret, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.secret != nil {
		return s.secret, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTime)
	defer cancel()
	secret, err := s.Secret(ctx, "return-path")
	s.secret = secret
	return secret, err
}
