package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/console/access"
	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/relay/queue"
	"github.com/smimerelay/smimerelay/service/backup"
)

type backupCmd struct {
	Config string   `default:"${config}" placeholder:"FILE" help:"The configuration file."`
	To     []string `sep:"none" placeholder:"CERT" help:"Encrypt the backup to the certificates in this file (PEM, DER, .p7b). Repeatable."`
	Plain  bool     `name:"plaintext-secrets" help:"Without --to: write the configuration file although it has passwords in it, readable for all who can read the backup."`
	Force  bool     `help:"Replace an existing file."`
	File   string   `arg:"" help:"The file to write; - is standard output."`
}

// Help is shown below the summary.
func (backupCmd) Help() string {
	return `Can be used while the gateway is running: certificates, sealed private keys, trust overrides, the built-in CA, queued and held mail, and the history are written, with the configuration and the files that it names. The store, the queue and the history are each as they are at one moment, one after another.

Only with --to does the backup also have the key file of the store, the other files with passwords and private keys, and the accounts, tokens and audit log of the console; they are listed otherwise. It is then CMS encrypted with AES-256-GCM, which openssl cms -decrypt reads too. Keep the private key elsewhere, or nothing can be restored. Without --to the mail in the backup is in plaintext; the file is readable only by its owner. If the configuration file itself has secrets in it (a password in store.url, required_header, the PIN of a token, arguments of programs), no backup is written without --to, unless --plaintext-secrets is given.

Keys in tokens are not in the backup, nor are sessions of the console.

Exit status: 0 done, 1 files that the configuration names could not be read: each is listed, and the rest is in the backup; 2 no backup was written.`
}

func (backupCmd) examples() string {
	return `smimerelay backup --to backup-cert.pem /var/backups/smimerelay.p7m
		smimerelay backup --to backup-cert.pem - | ssh backup@nas.example.com 'cat > smimerelay.p7m'`
}

// Run writes the backup.
func (c *backupCmd) Run(a *app) error {
	conf, problems := config.Load(c.Config)
	if len(problems) > 0 {
		return problems
	}
	o := backup.Options{Config: conf, ConfigFile: c.Config, Version: buildVersion().Version, Clock: a.clock, PlaintextSecrets: c.Plain}
	if len(c.To) > 0 {
		to, err := readCertificates("--to", c.To)
		if err != nil {
			return err
		}
		o.To = to
	}
	ctx, stop := untilSignal()
	defer stop()
	var m backup.Manifest
	err := c.output(a, func(w io.Writer) (err error) {
		m, err = backup.Write(ctx, w, o)
		return err
	})
	if _, ok := errors.AsType[*backup.SecretsError](err); ok {
		err = fmt.Errorf("%w; encrypt the backup with --to, or write them as well with --plaintext-secrets", err)
	}
	if err != nil {
		return unusable(fmt.Errorf("backup: %w", err))
	}
	p := page{w: a.stderr} // standard output may be the backup
	p.contents("backed up", m.Store, m.Queue)
	p.line("%d rows of the history backed up", m.History)
	p.console("backed up", m.Console)
	p.line("%d files backed up", len(m.Files)+1)
	for _, path := range m.LeftOut {
		p.line("not in the backup: %s; keep a copy of it elsewhere, or use --to", path)
	}
	for _, s := range m.Skipped {
		p.line("not in the backup: %s: %s; back it up by other means", s.Path, s.Why)
	}
	if p.err == nil && len(m.Skipped) > 0 {
		return &statusError{status: exitNegative}
	}
	return p.err
}

// untilSignal returns a context that ends when a signal would end the program, which then
// cleans up; a second one ends it at once.
func untilSignal() (context.Context, context.CancelFunc) {
	// A write to a pipe without a reader is an error, and does not end the program.
	signal.Ignore(syscall.SIGPIPE)
	signals := []os.Signal{syscall.SIGINT, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // by nohup
		signals = append(signals, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(background(), signals...)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// output has the backup written to where it is wanted.
func (c *backupCmd) output(a *app, write func(io.Writer) error) error {
	if c.File == "-" {
		w := bufio.NewWriter(a.stdout)
		return errors.Join(write(w), w.Flush())
	}
	return writePrivateTo(c.File, c.Force, write)
}

// contents lists what there is of each kind.
func (p *page) contents(done string, copied []store.Copied, moved queue.Moved) {
	p.line("%d messages %s, with %d deliveries and %d held", moved.Messages, done, moved.Deliveries, moved.Held)
	for _, n := range copied {
		p.line("%d %s %s", n.Added, n.What, done)
	}
}

// console lists what there is of the console, if anything.
func (p *page) console(done string, c access.Copied) {
	p.lineIf(c != access.Copied{}, fmt.Sprintf("%d accounts and %d tokens of the console, and %d entries of the audit log %s", c.Accounts, c.Tokens, c.Entries, done))
}

type restoreCmd struct {
	Config       string   `default:"${config}" placeholder:"FILE" help:"The configuration file, which names where to restore to."`
	Identity     []string `sep:"none" placeholder:"FILE" help:"Decrypt the backup with the identity in FILE: PKCS #12, or PEM with key and certificate. Repeatable."`
	PasswordFile string   `placeholder:"FILE" help:"File with the password of the identities."`
	Files        bool     `help:"Also write the configuration, and the files that it names, where they are missing."`
	Root         string   `default:"/" placeholder:"FOLDER" help:"With --files: below which folder to write them, but for the configuration."`
	Hold         bool     `help:"Put restored deliveries on hold, until queue release."`
	List         bool     `help:"Show what is in the backup, and restore nothing."`
	JSON         bool     `name:"json" help:"With --list: print JSON."`
	File         string   `arg:"" optional:"" help:"The backup (default: standard input, or -)."`
}

// Help is shown below the summary.
func (restoreCmd) Help() string {
	return `Stop the gateway on all nodes first. The store is restored to store.url of the configuration, and the mail to its queue, whichever database the backup was made of. Certificates, a history, and accounts of the console with their audit log that are already there stay; the queue must be empty. Interrupted, the command can be run again.

Mail that was delivered after the backup was made is delivered again; --hold lets you look first.`
}

func (restoreCmd) examples() string {
	return `smimerelay restore --list --identity backup.p12 --password-file backup.password smimerelay.p7m
		smimerelay restore --files --identity backup.p12 --password-file backup.password smimerelay.p7m`
}

// Run restores the backup.
func (c *restoreCmd) Run(a *app) error {
	ctx, stop := untilSignal()
	defer stop()
	b, err := c.open(ctx, a)
	if err != nil {
		return unusable(err)
	}
	p := a.page()
	return errors.Join(c.restore(ctx, a, b, p), p.err, b.Close())
}

func (c *restoreCmd) restore(ctx context.Context, a *app, b *backup.Backup, p *page) error {
	switch {
	case c.List && c.JSON:
		return a.printJSON(b.Manifest)
	case c.List:
		p.manifest(b.Manifest)
		return nil
	}
	if c.Files {
		if err := c.putFiles(b, p); err != nil {
			return unusable(err)
		}
	}
	conf, problems := config.Load(c.Config)
	if len(problems) > 0 {
		return problems
	}
	r, err := b.Restore(ctx, conf, c.Hold)
	p.contents("restored", r.Store, r.Queue)
	p.line("%d rows of the history restored", r.History)
	p.console("restored", r.Console)
	p.lineIf(r.ConsoleKept, "there are accounts of the console, or entries in its audit log, already: they stay, and those of the backup were not restored")
	p.lineIf(r.KeyFile != "", "the key file "+r.KeyFile+" was written")
	if err != nil {
		return unusable(fmt.Errorf("restore: %w", err))
	}
	p.lineIf(c.Hold && r.Queue.Deliveries > 0, "the restored deliveries are on hold; see smimerelay queue list and queue release")
	p.lineIf(!c.Files, fmt.Sprintf("the configuration and %d files are in the backup too; write those that are missing with --files", len(b.Files)))
	for _, path := range b.LeftOut {
		p.line("not in the backup: %s; restore it from its copy", path)
	}
	for _, s := range b.Skipped {
		p.line("not in the backup: %s: %s", s.Path, s.Why)
	}
	return nil
}

// open opens the backup.
func (c *restoreCmd) open(ctx context.Context, a *app) (*backup.Backup, error) {
	ids, err := readIdentities(c.Identity, c.PasswordFile)
	if err != nil {
		return nil, err
	}
	r := a.stdin
	if c.File != "" && c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return nil, fmt.Errorf("%w; check the path", err)
		}
		defer f.Close()
		r = f
	}
	b, err := backup.Open(ctx, r, certs.NewKeys(a.clock, ids...))
	if err != nil {
		if errors.Is(err, backup.ErrEncrypted) {
			err = fmt.Errorf("%w; name the right one with --identity", err)
		}
		return nil, fmt.Errorf("%s: %w", inputName(c.File), err)
	}
	return b, nil
}

// putFiles writes the files that are missing, after it has said which.
func (c *restoreCmd) putFiles(b *backup.Backup, p *page) error {
	plan, err := b.Plan(c.Config, c.Root)
	if err != nil {
		return err
	}
	for _, f := range plan {
		if f.Kept {
			p.line("%s is different from that of the backup, and stays as it is", f.Path)
		} else {
			p.line("writing %s", f.Path)
		}
	}
	return b.PutFiles(plan)
}

// manifest shows what is in a backup.
func (p *page) manifest(m backup.Manifest) {
	p.line("made %s on %s by smimerelay %s", m.Made.Format("2006-01-02 15:04:05 MST"), m.Host, m.Version)
	p.contents("in it", m.Store, m.Queue)
	p.line("%d rows of the history in it", m.History)
	p.console("in it", m.Console)
	p.lineIf(m.Key, "the key file of the store is in it")
	for _, path := range m.Files {
		p.line("file %s", path)
	}
	for _, path := range m.LeftOut {
		p.line("not in it: %s", path)
	}
	for _, s := range m.Skipped {
		p.line("not in it: %s: %s", s.Path, s.Why)
	}
}
