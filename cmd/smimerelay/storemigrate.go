package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"

	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/history"
	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/relay/queue"
	"github.com/smimerelay/smimerelay/service"
)

type storeCmd struct {
	Migrate storeMigrateCmd `cmd:"" help:"Copy the store and move the queue to another database or file."`
}

type storeMigrateCmd struct {
	Config         string `default:"${config}" placeholder:"FILE" help:"The configuration file: it names the key file, the queue file, and what to migrate from."`
	From           string `placeholder:"URL" help:"What to migrate from, instead of store.url."`
	To             string `required:"" placeholder:"URL" help:"What to migrate to: postgres://USER@HOST/DATABASE, or an SQLite file."`
	FromPassword   string `name:"from-password-file" placeholder:"FILE" help:"With --from: file with the password of that database."`
	ToPasswordFile string `placeholder:"FILE" help:"File with the password of the database to migrate to."`
}

// Help is shown below the summary.
func (storeMigrateCmd) Help() string {
	return `Stop the gateway on all nodes first. Certificates, sealed private keys, trust overrides and the built-in CA are copied, and stay where they were; what is already there stays as it is. Mail in the queue and held mail is moved, so that it is delivered once: with a postgres:// address it is in that database, else in the file of queue.path. Interrupted, the command can be run again. Then set store.url, and start the gateway. The key file stays the same. The history is copied last, into a place that has none.`
}

func (storeMigrateCmd) examples() string {
	return `smimerelay store migrate --to postgres://smimerelay@db.example.com/smimerelay --to-password-file database.password
		smimerelay store migrate --to /var/lib/smimerelay/store.db`
}

// Run copies the store, and moves the queue.
func (c *storeMigrateCmd) Run(a *app) error {
	from, to, err := c.places()
	if err != nil {
		return err
	}
	// The queue first: it tells whether a gateway is at work.
	moved, err := c.moveQueue(from, to)
	p := a.page()
	p.lineIf(err == nil || moved != queue.Moved{}, fmt.Sprintf("%d messages moved, with %d deliveries and %d held", moved.Messages, moved.Deliveries, moved.Held))
	if err != nil {
		return errors.Join(unusable(err), p.err)
	}
	copied, err := c.copyStore(a, from, to)
	for _, n := range copied {
		p.line("%d %s copied", n.Added, n.What)
	}
	if err != nil {
		return errors.Join(unusable(err), p.err)
	}
	if err := copyHistory(p, from, to); err != nil {
		return errors.Join(unusable(err), p.err)
	}
	p.line("set [store] url to the new place, and start the gateway")
	return p.err
}

// places are the configurations of both sides.
func (c *storeMigrateCmd) places() (from, to *config.Config, err error) {
	loaded, problems := config.Load(c.Config)
	if len(problems) > 0 {
		return nil, nil, problems
	}
	before, after := *loaded, *loaded
	if c.From != "" {
		before.Store.URL, before.Store.PasswordFile = c.From, c.FromPassword
	}
	after.Store.URL, after.Store.PasswordFile = c.To, c.ToPasswordFile
	for flag, place := range map[string]config.Store{"--from": before.Store, "--to": after.Store} {
		if strings.Contains(place.URL, "://") && !place.Shared() {
			return nil, nil, unusable(fmt.Errorf("%s: neither a path nor a PostgreSQL address; write the path of a file, or postgres://USER@HOST/DATABASE", flag))
		}
	}
	switch {
	case before.Store.URL == "":
		return nil, nil, unusable(fmt.Errorf("%s: store.url is empty, so there is nothing to migrate; name the store with --from", c.Config))
	case before.Store.URL == after.Store.URL:
		return nil, nil, unusable(errors.New("--to is where the store is already; set --from, or another --to"))
	}
	return &before, &after, nil
}

// moveQueue moves the mail.
func (c *storeMigrateCmd) moveQueue(from, to *config.Config) (queue.Moved, error) {
	if !from.Store.Shared() && !to.Store.Shared() {
		return queue.Moved{}, nil // its file stays
	}
	source, err := service.QueuePlace(from)
	if err != nil {
		return queue.Moved{}, err
	}
	if source.URL == "" {
		if _, err := os.Stat(source.Path); errors.Is(err, fs.ErrNotExist) {
			return queue.Moved{}, nil
		}
	}
	target, err := service.QueuePlace(to)
	if err != nil {
		return queue.Moved{}, err
	}
	return queue.Move(background(), source, target)
}

// copyHistory copies what became of past mail, unless there is a history already: one that
// was copied, or that of a gateway which was started before.
func copyHistory(p *page, from, to *config.Config) (err error) {
	source, kept, err := service.HistoryPlace(from)
	if err != nil || !kept {
		return err
	}
	target, kept, err := service.HistoryPlace(to)
	if err != nil || !kept || source == target {
		return err
	}
	old, err := history.OpenExisting(background(), source)
	if errors.Is(err, history.ErrNone) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, old.Close()) }()
	made, err := history.Open(background(), target)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, made.Close()) }()
	rows, err := old.Copy(background(), made)
	if errors.Is(err, history.ErrNotEmpty) {
		p.line("the new place has a history already: none was copied")
		return nil
	}
	if err == nil {
		p.line("%d entries of the history copied", rows)
	}
	return err
}

// copyStore copies what the store has.
func (c *storeMigrateCmd) copyStore(a *app, from, to *config.Config) ([]store.Copied, error) {
	source, err := c.openStore(a, from)
	if err != nil {
		return nil, err
	}
	target, err := c.openStore(a, to)
	if err != nil {
		return nil, errors.Join(err, source.Close())
	}
	copied, err := source.Copy(context.Background(), target)
	return copied, errors.Join(err, target.Close(), source.Close())
}

func (c *storeMigrateCmd) openStore(a *app, of *config.Config) (*store.Store, error) {
	flags := storeFlags{Config: c.Config}
	key, _, err := flags.key(of.Store, readStore)
	if err != nil {
		return nil, err
	}
	s, err := store.Open(background(), store.Config{
		URL: config.Place(of.Store.URL), PasswordFile: of.Store.PasswordFile, Key: key, Clock: a.clock, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t := service.StoreTrouble(of.Store, err)
		return nil, unusable(fmt.Errorf("%s; %s", t.Text, t.Remedy))
	}
	return s, nil
}
