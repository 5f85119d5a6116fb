package backup

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/fips140"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/history"
	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/relay/queue"
	"github.com/smimerelay/smimerelay/service"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// Options say what to back up, and for whom.
type Options struct {
	// Config is the configuration, ConfigFile where it was read.
	Config     *config.Config
	ConfigFile string
	// To are the certificates that can decrypt the backup. Without any it is not
	// encrypted, and has neither the key file nor other files with secrets.
	To []*x509.Certificate
	// PlaintextSecrets has a backup that is not encrypted made, although the configuration file has
	// secrets in it.
	PlaintextSecrets bool
	// Version is that of this program.
	Version string
	Clock   func() time.Time
}

// Write writes a backup to w. The gateway may be running: the store is in it as it is at
// one moment, and so are the queue and the history, each at its own. After an error w has a
// part of a backup, which must not be used. When ctx ends nothing is left on disk.
func Write(ctx context.Context, w io.Writer, o Options) (m Manifest, err error) {
	if secrets := o.Config.Secrets(); len(secrets) > 0 && len(o.To) == 0 && !o.PlaintextSecrets {
		return m, &SecretsError{Options: secrets}
	}
	folder, err := newFolder()
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, folder.remove()) }()
	m = Manifest{Format: format, Version: o.Version, Made: o.Clock().UTC(), Host: host(o.Config), Files: []string{}, LeftOut: []string{}, Skipped: []Skipped{}}
	if m.Config, err = filepath.Abs(o.ConfigFile); err != nil {
		return m, err
	}
	w = interruptibleWriter{ctx, w}
	a := &archive{options: o, folder: folder, manifest: &m}
	// The queue first: what it has was signed and encrypted with what the store has.
	if err := a.copyQueue(ctx); err != nil {
		return m, err
	}
	if err := a.copyStore(ctx); err != nil {
		return m, err
	}
	if err := a.copyHistory(ctx); err != nil {
		return m, err
	}
	if err := a.copyConsole(ctx); err != nil {
		return m, err
	}
	files, err := a.choose()
	if err != nil {
		return m, err
	}
	if len(o.To) == 0 {
		return m, a.write(w, files)
	}
	return m, encrypt(w, o.To, func(w io.Writer) error { return a.write(w, files) })
}

// SecretsError is why no backup was made: these options have secrets in the configuration file
// itself, and would be readable in it.
type SecretsError struct{ Options []string }

// Error implements error.
func (e *SecretsError) Error() string {
	return "the configuration file has secrets in " + strings.Join(e.Options, ", ")
}

// encrypt writes to w, encrypted, what content writes.
func encrypt(w io.Writer, to []*x509.Certificate, content func(io.Writer) error) error {
	r := cms.EncryptRequest{Recipients: to, Cipher: cms.AES256GCM}
	if fips140.Enforced() { // which has no AEAD for streams
		r.Cipher = cms.AES256CBC
	}
	from, into := io.Pipe()
	failed := make(chan error, 1)
	go func() {
		err := content(into)
		failed <- errors.Join(err, into.CloseWithError(err))
	}()
	err := cms.EncryptStream(w, r, from, -1)
	return errors.Join(err, from.Close(), <-failed)
}

// archive is a backup that is being made.
type archive struct {
	options  Options
	folder   folder
	manifest *Manifest
}

func (a *archive) copyQueue(ctx context.Context) error {
	place, err := service.QueuePlace(a.options.Config)
	if err != nil {
		return err
	}
	if place.URL == "" && !exists(place.Path) {
		return nil
	}
	a.manifest.Queue, err = queue.Copy(ctx, place, a.folder.path(queueName))
	return err
}

func (a *archive) copyStore(ctx context.Context) (err error) {
	place := a.options.Config.Store
	if place.URL == "" || !place.Shared() && !exists(config.Place(place.URL)) {
		return nil
	}
	key, err := readKey(place.KeyFile)
	if err != nil {
		return err
	}
	from, err := openStore(ctx, place, key)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	to, err := openStore(ctx, config.Store{URL: a.folder.path(storeName)}, key)
	if err != nil {
		return err
	}
	a.manifest.Store, err = from.Copy(ctx, to)
	return errors.Join(err, to.Close())
}

func (a *archive) copyHistory(ctx context.Context) (err error) {
	place, ok, err := service.HistoryPlace(a.options.Config)
	if err != nil || !ok {
		return err
	}
	from, err := history.OpenExisting(ctx, place)
	if errors.Is(err, history.ErrNone) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	to, err := history.Open(ctx, history.Place{Path: a.folder.path(historyName)})
	if err != nil {
		return err
	}
	a.manifest.History, err = from.Copy(ctx, to)
	return errors.Join(err, to.Close())
}

// readKey reads a key file; nil where there is none.
func readKey(path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	key, err := store.ReadKey(config.Place(path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return key, withRemedy(err)
}

// withRemedy adds to the error of a key file what to do.
func withRemedy(err error) error {
	if e, ok := errors.AsType[*store.KeyFileError](err); ok && e.Remedy() != "" {
		return fmt.Errorf("%w; %s", err, e.Remedy())
	}
	return err
}

func openStore(ctx context.Context, place config.Store, key []byte) (*store.Store, error) {
	return store.Open(ctx, store.Config{
		URL: config.Place(place.URL), PasswordFile: place.PasswordFile, Key: key, Log: slog.New(slog.DiscardHandler),
	})
}

// write writes the archive.
func (a *archive) write(w io.Writer, files []source) error {
	z := gzip.NewWriter(w)
	t := tar.NewWriter(z)
	text, err := json.MarshalIndent(a.manifest, "", "  ")
	if err != nil {
		return err
	}
	if err := a.begin(t, manifestName, 0o600, int64(len(text))); err != nil {
		return err
	}
	if _, err := t.Write(text); err != nil {
		return err
	}
	for _, f := range files {
		if err := a.add(t, f); err != nil {
			return fmt.Errorf("%s: %w", f.path, err)
		}
	}
	return errors.Join(t.Close(), z.Close())
}

func (a *archive) begin(t *tar.Writer, name string, mode fs.FileMode, size int64) error {
	return t.WriteHeader(&tar.Header{Name: filepath.ToSlash(name), Mode: int64(mode.Perm()), Size: size, ModTime: a.manifest.Made, Format: tar.FormatPAX})
}

// add adds a file, which may grow meanwhile.
func (a *archive) add(t *tar.Writer, f source) error {
	file, err := os.Open(f.path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if err := a.begin(t, f.name, info.Mode(), info.Size()); err != nil {
		return err
	}
	_, err = io.CopyN(t, file, info.Size())
	return err
}

// host is the name of the gateway.
func host(c *config.Config) string {
	if c.Hostname != "" {
		return c.Hostname
	}
	name, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return name
}
