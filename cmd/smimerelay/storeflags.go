package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"

	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/service"
	"github.com/smimerelay/smimerelay/smime/address"
)

// storeFlags say which store.
type storeFlags struct {
	Config string `default:"${config}" placeholder:"FILE" help:"The configuration file, which names the store."`
	Store  string `placeholder:"URL" help:"The store, instead of a configuration file: an SQLite file, or postgres://USER@HOST/DATABASE."`
	Key    string `placeholder:"FILE" help:"With --store: the key file that encrypts the private keys in the store."`
}

// storeUse is what a verb wants of the store.
type storeUse int

const (
	// readStore: it must be there.
	readStore storeUse = iota
	// makeStore: it is made where it is missing, for certificates.
	makeStore
	// fillStore: it, and its key file, are made where they are missing.
	fillStore
)

// withStore opens the store, which a gateway may be using, does something with it
// and closes it. c is the configuration; nil with --store.
func (f *storeFlags) withStore(a *app, use storeUse, do func(ctx context.Context, s *store.Store, c *config.Config) error) error {
	place, rule, c, err := f.place()
	if err != nil {
		return err
	}
	if use == readStore && !place.Shared() {
		if _, err := os.Stat(config.Place(place.URL)); errors.Is(err, fs.ErrNotExist) {
			return unusable(fmt.Errorf("store %q: does not exist; import something first, or name another store with --config or --store", place.URL))
		}
	}
	key, made, err := f.key(place, use)
	if err != nil {
		return err
	}
	s, err := store.Open(background(), store.Config{
		URL: config.Place(place.URL), PasswordFile: place.PasswordFile, Key: key, LocalPart: rule,
		Clock: a.clock, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		if made && errors.Is(err, store.ErrWrongKey) {
			err = missingKey(background(), place)
		}
		if made {
			err = errors.Join(err, os.Remove(place.KeyFile)) // nothing is sealed with it
		}
		return f.trouble(place, err)
	}
	if made {
		a.say("created the key file %s; keep a copy elsewhere: without it the private keys in the store are lost", place.KeyFile)
	}
	err = do(store.WithActor(background(), whoami()+" (command line)"), s, c)
	if errors.Is(err, store.ErrNoKeyFile) && key == nil && place.KeyFile != "" {
		err = f.trouble(place, missingKey(background(), place))
	}
	return errors.Join(err, s.Close())
}

// trouble is the error of a store that cannot be opened: where it was said, and what to do.
func (f *storeFlags) trouble(place config.Store, err error) error {
	t := service.StoreTrouble(place, err)
	if f.Store == "" {
		return unusable(t.Error(f.Config))
	}
	flag := "--store"
	if t.Key == "store.key_file" {
		flag = "--key"
	}
	text := flag + ": " + t.Text
	if t.Remedy != "" {
		text += "; " + t.Remedy
	}
	return unusable(errors.New(text))
}

// missingKey is the error of a store whose private keys were sealed with a key file that is not
// there any more.
func missingKey(ctx context.Context, place config.Store) error {
	s, err := store.Open(ctx, store.Config{URL: config.Place(place.URL), PasswordFile: place.PasswordFile, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	n, err := s.Count(ctx, store.Query{HasKey: new(true)})
	if err == nil {
		err = &service.MissingKeyError{Path: place.KeyFile, Keys: n}
	}
	return errors.Join(err, s.Close())
}

// place returns where the store is and by what rule it compares addresses.
func (f *storeFlags) place() (config.Store, address.LocalPart, *config.Config, error) {
	if f.Store != "" {
		return config.Store{URL: f.Store, KeyFile: f.Key}, address.IgnoreCase, nil, nil
	}
	if f.Key != "" {
		return config.Store{}, 0, nil, unusable(errors.New("--key: only for --store; with --config the key file is store.key_file"))
	}
	c, problems := config.Load(f.Config)
	if len(problems) > 0 {
		return config.Store{}, 0, nil, problems
	}
	if c.Store.URL == "" {
		return config.Store{}, 0, nil, unusable(fmt.Errorf("%s: store.url is empty, so the gateway keeps its store in memory only; set it to a file", f.Config))
	}
	rule := address.IgnoreCase
	if c.LocalPart == "exact" {
		rule = address.ExactCase
	}
	return c.Store, rule, c, nil
}

// key reads the key file; nil where there is none. To fill a store it is made.
func (f *storeFlags) key(place config.Store, use storeUse) (key []byte, made bool, err error) {
	path := place.KeyFile
	if path == "" {
		return nil, false, nil
	}
	key, err = store.ReadKey(config.Place(path))
	switch {
	case err == nil:
		return key, false, nil
	case !errors.Is(err, fs.ErrNotExist):
		return nil, false, f.trouble(place, err)
	case use != fillStore:
		return nil, false, nil
	}
	if key, err = store.CreateKey(path); err != nil {
		return nil, false, f.trouble(place, &store.KeyFileError{Path: path, Cause: err})
	}
	return key, true, nil
}
