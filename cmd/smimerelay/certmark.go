package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/smimerelay/smimerelay/certs/file"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/config"
)

// markFlags are common to the verbs that mark a certificate.
type markFlags struct {
	storeFlags
	doneFlags
	Note  string `placeholder:"TEXT" help:"Why; explanations repeat it."`
	Until string `placeholder:"DATE" help:"The day on which the mark ends, such as 2027-01-31."`
	What  string `arg:"" name:"certificate" help:"SHA-256 fingerprint of a certificate in the store, or its beginning; or a file with it, which is put into the store."`
}

// mark marks a certificate, which comes into the store first where it is a file.
func (f *markFlags) mark(a *app, mark store.Mark) error {
	until, err := f.end(a.clock())
	if err != nil {
		return err
	}
	return f.withStore(a, f.use(), func(ctx context.Context, s *store.Store, _ *config.Config) error {
		e, err := f.entry(ctx, s)
		if err != nil {
			return err
		}
		if err := s.SetMark(ctx, e.Fingerprint, mark, f.Note, until); err != nil {
			return err
		}
		text := string(mark)
		if !until.IsZero() {
			text += " until " + day(until)
		}
		err = f.report(a, e, done{Done: string(mark), Until: day(until)}, text)
		if e.HasKey && mark == store.Blocked && err == nil && !f.JSON {
			p := a.page()
			p.line("this identity no longer signs; its key still decrypts")
			err = p.err
		}
		return err
	})
}

// use: a file may be the first that comes into a store.
func (f *markFlags) use() storeUse {
	if f.isFile() {
		return makeStore
	}
	return readStore
}

// isFile reports whether a file is meant: what can be a fingerprint is one,
// unless there is a path in front of it.
func (f *markFlags) isFile() bool {
	if isFingerprint(f.What) {
		return false
	}
	_, err := os.Stat(f.What)
	return err == nil
}

func (f *markFlags) entry(ctx context.Context, s *store.Store) (store.Entry, error) {
	if !f.isFile() {
		e, err := pick(ctx, s, f.What)
		if errors.Is(err, errNotInStore) {
			err = negative(fmt.Errorf("%s is of no certificate in the store; give a file with the certificate instead", f.What))
		}
		return e, err
	}
	list, err := file.ReadCertificates(f.What)
	if err != nil {
		return store.Entry{}, unusable(fmt.Errorf("%w; give the certificate as PEM or DER", err))
	}
	if len(list) != 1 {
		return store.Entry{}, unusable(fmt.Errorf("%s: has %d certificates in it; give a file with the one that is meant", f.What, len(list)))
	}
	if _, err := s.Put(ctx, store.Imported, store.New{Certificate: list[0]}); err != nil {
		return store.Entry{}, unusable(err)
	}
	return pick(ctx, s, fmt.Sprintf("%x", sha256.Sum256(list[0].Raw)))
}

// end is when the mark ends, zero for never.
func (f *markFlags) end(now time.Time) (time.Time, error) {
	if f.Until == "" {
		return time.Time{}, nil
	}
	until, err := time.Parse(time.DateOnly, f.Until)
	if err != nil {
		return until, unusable(fmt.Errorf("--until: %q is not a date; write one such as 2027-01-31", f.Until))
	}
	if !until.After(now) {
		return until, unusable(fmt.Errorf("--until: %s is past; write a day to come", f.Until))
	}
	return until, nil
}

type certAllowCmd struct{ markFlags }

// Help is shown below the summary.
func (certAllowCmd) Help() string {
	return `Makes a certificate a trust anchor, whoever issued it: that of a partner without an authority, or an authority with all that it issued. Its dates, its purpose and its address are judged all the same. A gateway that is running believes it within seconds, on all nodes.`
}

func (certAllowCmd) examples() string {
	return `smimerelay cert allow bob.pem --note "fingerprint read out on the phone, 2026-03-01"
		smimerelay cert allow 3f2a91c07d --until 2027-01-31`
}

// Run allows.
func (c *certAllowCmd) Run(a *app) error { return c.mark(a, store.Allowed) }

type certBlockCmd struct{ markFlags }

// Help is shown below the summary.
func (certBlockCmd) Help() string {
	return `Refuses a certificate, and everything below it where it is an authority's: nothing is encrypted to it any more and its signatures do not pass. A gateway that is running obeys within seconds, on all nodes.`
}

func (certBlockCmd) examples() string {
	return `smimerelay cert block 3f2a91c07d --note "laptop stolen"
		smimerelay cert block ./bob.pem`
}

// Run blocks.
func (c *certBlockCmd) Run(a *app) error { return c.mark(a, store.Blocked) }

type certUnmarkCmd struct {
	storeFlags
	doneFlags
	Fingerprint string `arg:"" name:"sha256" help:"SHA-256 fingerprint of the certificate, or its beginning."`
}

func (certUnmarkCmd) examples() string { return `smimerelay cert unmark 3f2a91c07d` }

// Run takes a mark away.
func (c *certUnmarkCmd) Run(a *app) error {
	return c.withStore(a, readStore, func(ctx context.Context, s *store.Store, _ *config.Config) error {
		e, err := pick(ctx, s, c.Fingerprint)
		if err != nil {
			return err
		}
		if err := s.SetMark(ctx, e.Fingerprint, store.Unmarked, "", time.Time{}); err != nil {
			return err
		}
		return c.report(a, e, done{Done: "unmarked"}, "neither allowed nor blocked")
	})
}
