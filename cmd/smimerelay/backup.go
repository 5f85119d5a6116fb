package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/relay/queue"
	"github.com/smimerelay/smimerelay/service/backup"
)

type backupCmd struct {
	Config string   `default:"${config}" placeholder:"FILE" help:"The configuration file."`
	To     []string `sep:"none" placeholder:"CERT" help:"Encrypt the backup to the certificates in this file (PEM, DER, .p7b). Repeatable."`
	Force  bool     `help:"Replace an existing file."`
	File   string   `arg:"" help:"The file to write; - is standard output."`
}

// Help is shown below the summary.
func (backupCmd) Help() string {
	return `Can be used while the gateway is running: certificates, sealed private keys, trust overrides, the built-in CA, queued and held mail, and the history are written as they are at one moment, with the configuration and the files that it names.

Only with --to does the backup also have the key file of the store, and the other files with passwords and private keys; they are listed otherwise. It is then CMS encrypted with AES-256-GCM, which openssl cms -decrypt reads too. Keep the private key elsewhere, or nothing can be restored. Without --to the mail in the backup is in plaintext; the file is readable only by its owner.

Keys in tokens are not in the backup, nor are the accounts and the audit log of the console.`
}

func (backupCmd) examples() string {
	return `smimerelay backup --to backup-key.pem /var/backups/smimerelay.p7m
		smimerelay backup --to backup-key.pem - | ssh backup@nas.example.com 'cat > smimerelay.p7m'`
}

// Run writes the backup.
func (c *backupCmd) Run(a *app) error {
	conf, problems := config.Load(c.Config)
	if len(problems) > 0 {
		return problems
	}
	o := backup.Options{Config: conf, ConfigFile: c.Config, Version: buildVersion().Version, Clock: a.clock}
	if len(c.To) > 0 {
		to, err := readCertificates("--to", c.To)
		if err != nil {
			return err
		}
		o.To = to
	}
	var m backup.Manifest
	err := c.output(a, func(w io.Writer) (err error) {
		m, err = backup.Write(background(), w, o)
		return err
	})
	if err != nil {
		return unusable(fmt.Errorf("backup: %w", err))
	}
	p := page{w: a.stderr} // standard output may be the backup
	p.contents("backed up", m.Store, m.Queue)
	p.line("%d rows of the history backed up", m.History)
	p.line("%d files backed up", len(m.Files)+1)
	for _, path := range m.LeftOut {
		p.line("not in the backup: %s; keep a copy of it elsewhere, or use --to", path)
	}
	return p.err
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
	return `Stop the gateway on all nodes first. The store is restored to store.url of the configuration, and the mail to its queue, whichever database the backup was made of. Certificates and a history that are already there stay; the queue must be empty. Interrupted, the command can be run again.

Mail that was delivered after the backup was made is delivered again; --hold lets you look first.`
}

func (restoreCmd) examples() string {
	return `smimerelay restore --list --identity backup.p12 --password-file backup.password smimerelay.p7m
		smimerelay restore --files --identity backup.p12 --password-file backup.password smimerelay.p7m`
}

// Run restores the backup.
func (c *restoreCmd) Run(a *app) error {
	b, err := c.open(a)
	if err != nil {
		return unusable(err)
	}
	p := a.page()
	return errors.Join(c.restore(a, b, p), p.err, b.Close())
}

func (c *restoreCmd) restore(a *app, b *backup.Backup, p *page) error {
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
	r, err := b.Restore(background(), conf, c.Hold)
	p.contents("restored", r.Store, r.Queue)
	p.line("%d rows of the history restored", r.History)
	p.lineIf(r.KeyFile != "", "the key file "+r.KeyFile+" was written")
	if err != nil {
		return unusable(fmt.Errorf("restore: %w", err))
	}
	p.lineIf(c.Hold && r.Queue.Deliveries > 0, "the restored deliveries are on hold; see smimerelay queue list and queue release")
	p.lineIf(!c.Files, fmt.Sprintf("the configuration and %d files are in the backup too; write those that are missing with --files", len(b.Files)))
	for _, path := range b.LeftOut {
		p.line("not in the backup: %s; restore it from its copy", path)
	}
	return nil
}

// open opens the backup.
func (c *restoreCmd) open(a *app) (*backup.Backup, error) {
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
	b, err := backup.Open(background(), r, certs.NewKeys(a.clock, ids...))
	if err != nil {
		if errors.Is(err, backup.ErrEncrypted) {
			err = fmt.Errorf("%w; name the right one with --identity", err)
		}
		return nil, fmt.Errorf("%s: %w", inputName(c.File), err)
	}
	return b, nil
}

func (c *restoreCmd) putFiles(b *backup.Backup, p *page) error {
	files, err := b.PutFiles(c.Config, c.Root)
	for _, f := range files {
		if f.Kept {
			p.line("%s is different from that of the backup, and stays as it is", f.Path)
		} else {
			p.line("%s was written", f.Path)
		}
	}
	return err
}

// manifest shows what is in a backup.
func (p *page) manifest(m backup.Manifest) {
	p.line("made %s on %s by smimerelay %s", m.Made.Format("2006-01-02 15:04:05 MST"), m.Host, m.Version)
	p.contents("in it", m.Store, m.Queue)
	p.line("%d rows of the history in it", m.History)
	p.lineIf(m.Key, "the key file of the store is in it")
	for _, path := range m.Files {
		p.line("file %s", path)
	}
	for _, path := range m.LeftOut {
		p.line("not in it: %s", path)
	}
}
