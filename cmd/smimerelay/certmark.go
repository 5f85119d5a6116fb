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
	Note  string `placeholder:"TEXT" help:"Reason; explanations repeat it."`
	Until string `placeholder:"DATE" help:"Last day of the override, such as 2027-01-31."`
	What  string `arg:"" name:"certificate" help:"SHA-256 fingerprint of a certificate in the store, or the start of it; or a file with the certificate, which is then imported."`
}

// mark marks a certificate, which comes into the store first where it is a file.
func (f *markFlags) mark(a *app, mark store.Mark) error {
	until, err := f.end(a.clock())
	if err != nil {
		return err
	}
	if err := f.there(); err != nil {
		return err
	}
	return f.withStore(a, f.use(), func(ctx context.Context, s *store.Store, _ *config.Config) error {
		e, err := f.set(ctx, s, mark, until)
		if err != nil {
			return err
		}
		text := string(mark)
		if !until.IsZero() {
			text += " until " + day(until)
		}
		err = f.report(a, e, done{Done: string(mark), Until: day(until)}, text)
		if err == nil && !f.JSON {
			p := a.page()
			p.line("running gateways apply this within 2 seconds")
			err = p.err
		}
		if e.HasKey && mark == store.Blocked && err == nil && !f.JSON {
			p := a.page()
			p.line("this identity is no longer used to sign; its key still decrypts")
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

// there refuses what is neither a fingerprint nor a file, before the store is looked for.
func (f *markFlags) there() error {
	if isFingerprint(f.What) {
		return nil
	}
	if _, err := os.Stat(f.What); err != nil {
		return noFile(f.What, err, "check the path, or use the SHA-256 fingerprint of a certificate that is in the store")
	}
	return nil
}

// set marks what is meant, and returns its entry. A file comes into the store together with its
// mark: mail must not be encrypted to what is blocked, for as long as the mark is not there.
func (f *markFlags) set(ctx context.Context, s *store.Store, mark store.Mark, until time.Time) (store.Entry, error) {
	if !f.isFile() {
		e, err := pick(ctx, s, f.What)
		if errors.Is(err, errNotInStore) {
			err = negative(fmt.Errorf("%s: no such certificate in the store; use a file with the certificate instead", f.What))
		}
		if err != nil {
			return store.Entry{}, err
		}
		return e, s.SetMark(ctx, e.Fingerprint, mark, f.Note, until)
	}
	list, err := file.ReadCertificates(f.What)
	if err != nil {
		return store.Entry{}, unusable(fmt.Errorf("%w; use a certificate as PEM or DER", err))
	}
	if len(list) != 1 {
		return store.Entry{}, unusable(fmt.Errorf("%s: contains %d certificates; use a file with a single certificate", f.What, len(list)))
	}
	if err := s.PutMarked(ctx, store.Imported, store.New{Certificate: list[0]}, mark, f.Note, until); err != nil {
		return store.Entry{}, unusable(err)
	}
	return pick(ctx, s, fmt.Sprintf("%x", sha256.Sum256(list[0].Raw)))
}

// end is the last day of the mark, zero for never.
func (f *markFlags) end(now time.Time) (time.Time, error) {
	if f.Until == "" {
		return time.Time{}, nil
	}
	until, err := time.Parse(time.DateOnly, f.Until)
	if err != nil {
		return until, unusable(fmt.Errorf("--until: %q is not a date; write one such as 2027-01-31", f.Until))
	}
	if !until.AddDate(0, 0, 1).After(now) { // in UTC, as it is judged
		return until, unusable(fmt.Errorf("--until: %s is in the past; write a future date", f.Until))
	}
	return until, nil
}

type certAllowCmd struct{ markFlags }

// Help is shown below the summary.
func (certAllowCmd) Help() string {
	return `Makes a certificate a trust anchor regardless of its issuer: the self-signed certificate of a partner, or a CA with all certificates that it issued. Validity, purpose and address are still checked. Running gateways apply the change within two seconds, on all nodes; mail that comes before is judged without it.`
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
	return `Blocks a certificate and, if it is a CA certificate, all certificates below it: mail is no longer encrypted to it, and its signatures do not pass. Running gateways apply the change within two seconds, on all nodes; mail that comes before is judged without it.`
}

func (certBlockCmd) examples() string {
	return `smimerelay cert block 3f2a91c07d --note "laptop stolen"
		smimerelay cert block ./bob.pem`
}

// Run blocks.
func (c *certBlockCmd) Run(a *app) error { return c.mark(a, store.Blocked) }

type certClearCmd struct {
	storeFlags
	doneFlags
	Fingerprint string `arg:"" name:"sha256" help:"SHA-256 fingerprint of the certificate, or the start of it."`
}

func (certClearCmd) examples() string { return `smimerelay cert clear 3f2a91c07d` }

// Run takes a mark away.
func (c *certClearCmd) Run(a *app) error {
	return c.withStore(a, readStore, func(ctx context.Context, s *store.Store, _ *config.Config) error {
		e, err := pick(ctx, s, c.Fingerprint)
		if err != nil {
			return err
		}
		if err := s.SetMark(ctx, e.Fingerprint, store.NoMark, "", time.Time{}); err != nil {
			return err
		}
		return c.report(a, e, done{Done: "cleared"}, "neither allowed nor blocked")
	})
}
