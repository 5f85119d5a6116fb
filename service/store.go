package service

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/path"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/smime/address"
)

// storeTime bounds what is asked of the store while parts are built.
const storeTime = 15 * time.Second

// sharedStore is an open store with the parts that use it: a reload that keeps the
// place keeps the store, and the last one out closes it.
type sharedStore struct {
	*store.Store
	users
	place storePlace
	// timeout bounds one question while mail waits for the answer.
	timeout time.Duration
	// silent: it did not answer when it was last asked.
	silent atomic.Bool

	mu     sync.Mutex
	secret []byte // of the return path, once it was read
}

// storePlace is everything that makes two stores the same.
type storePlace struct {
	config.Store
	localPart address.LocalPart
	key       [sha256.Size]byte // its digest; zero without a key
}

// hold counts one more user.
func (s *sharedStore) hold() *sharedStore {
	s.join()
	return s
}

// release counts one user less.
func (s *sharedStore) release() error {
	if !s.leave() {
		return nil
	}
	return s.Store.Close()
}

// store opens the store, or goes on with the open one of the parts before.
func (b *builder) store() {
	place := storePlace{Store: b.config.Store, localPart: b.localPart()}
	if len(b.problems) > 0 {
		place = storePlace{} // one in memory: nothing will be served with it
	}
	if place.URL == "" {
		place.KeyFile = "" // nothing is sealed in memory
	}
	key, err := readStoreKey(place.KeyFile)
	if err == nil && key == nil && place.KeyFile != "" && b.serving && len(b.config.Enrolments) > 0 {
		// The first order has a key. Where there are sealed keys already, wantNoKeys tells.
		key, err = b.makeStoreKey(place)
	}
	if err != nil {
		b.storeTrouble(err)
		return
	}
	if key != nil {
		place.key = sha256.Sum256(key)
	}
	if b.before != nil && b.before.store.place == place {
		b.parts.store = b.before.store.hold()
		return
	}
	c := store.Config{
		URL: config.Place(place.URL), PasswordFile: place.PasswordFile, Key: key, LocalPart: place.localPart, Clock: b.clock, Log: b.log,
	}
	if !b.serving && isMissing(place.Store) {
		c.URL = "" // only serve makes it
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTime)
	defer cancel()
	opened, err := store.Open(ctx, c)
	if err != nil {
		b.storeTrouble(err)
		return
	}
	b.parts.store = (&sharedStore{
		Store: opened, place: place, timeout: cmp.Or(b.storeTimeout, defaultStoreTimeout),
	}).hold()
	if key == nil {
		b.wantNoKeys(ctx, opened)
	}
}

// makeStoreKey makes the key file of a store that has no private keys yet, for those of the
// first orders.
func (b *builder) makeStoreKey(place storePlace) ([]byte, error) {
	if place.Shared() {
		return nil, nil // all nodes must have the same one
	}
	if !isMissing(place.Store) {
		n, err := b.privateKeys(place)
		if err != nil || n > 0 {
			return nil, err
		}
	}
	key, err := store.CreateKey(config.Place(place.KeyFile))
	if err == nil {
		b.log.Info("key file created; keep a copy elsewhere: without it the private keys in the store are lost", "file", place.KeyFile)
	}
	return key, err
}

// privateKeys counts those in a store.
func (b *builder) privateKeys(place storePlace) (n int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), storeTime)
	defer cancel()
	s, err := store.Open(ctx, store.Config{URL: config.Place(place.URL), LocalPart: place.localPart, Clock: b.clock, Log: b.log})
	if err != nil {
		return 0, err
	}
	n, err = s.Count(ctx, store.Query{HasKey: new(true)})
	return n, errors.Join(err, s.Close())
}

// wantNoKeys refuses a store that has private keys in it and no key file to open
// them: all mail of their owners would be deferred.
func (b *builder) wantNoKeys(ctx context.Context, s *store.Store) {
	has := true
	n, err := s.Count(ctx, store.Query{HasKey: &has})
	switch {
	case err != nil:
		b.storeTrouble(err)
	case n > 0:
		b.storeTrouble(&MissingKeyError{Path: b.config.Store.KeyFile, Keys: n})
	}
}

// keyAppeared reports whether a store that was opened without a key has a key
// file by now: the first import makes it.
func (s *sharedStore) keyAppeared() bool {
	if s.place.key != [sha256.Size]byte{} {
		return false
	}
	key, err := readStoreKey(s.place.KeyFile)
	return key != nil && err == nil
}

// isMissing reports whether a store is a file that does not exist yet.
func isMissing(c config.Store) bool {
	_, err := os.Stat(config.Place(c.URL))
	return !c.Shared() && errors.Is(err, fs.ErrNotExist)
}

// readStoreKey reads the key that seals private keys; nil where there is none
// yet: then there are no keys in the store, or opening it says so.
func readStoreKey(path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	key, err := store.ReadKey(config.Place(path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return key, err
}

// Store is the store that the parts use; it closes with them.
func (p *Parts) Store() *store.Store { return p.store.Store }

// StoreChecker judges certificates by a store alone: our own authorities and what
// was allowed are trusted, no others, and nothing is fetched.
func StoreChecker(ctx context.Context, s *store.Store, rule address.LocalPart, clock func() time.Time) (certs.Checker, error) {
	t, err := readTrust(ctx, s)
	if err != nil {
		return nil, err
	}
	return path.NewValidator(path.Config{
		Anchors: t.anchors(), Intermediates: slices.Concat(t.allowed, t.below()), Exceptions: t.exceptions, CRLs: t.crls,
		Revocation: certs.RevocationPrefer, LocalPart: rule, Clock: clock,
	})
}
