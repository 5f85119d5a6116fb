package backup

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// Backup is an open backup.
type Backup struct {
	Manifest
	folder folder
}

// ErrEncrypted is returned by Open for a backup that none of the keys decrypts.
var ErrEncrypted = errors.New("encrypted to other certificates than those of the given identities")

// Open reads a backup; keys are for one that is encrypted. Close it. When ctx ends before
// Open does nothing is left on disk.
func Open(ctx context.Context, r io.Reader, keys certs.DecryptionKeys) (*Backup, error) {
	dir, err := newFolder()
	if err != nil {
		return nil, err
	}
	b := &Backup{folder: dir}
	in := interruptible(ctx, r)
	defer in.Close()
	if err := b.read(ctx, in, keys); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause // whatever it looked like on the way
		}
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

// Close removes what Open has unpacked.
func (b *Backup) Close() error { return b.folder.remove() }

func (b *Backup) read(ctx context.Context, r io.Reader, keys certs.DecryptionKeys) error {
	buffered := bufio.NewReader(r)
	start, err := buffered.Peek(2)
	switch {
	case err != nil:
		return errNoBackup
	case bytes.Equal(start, []byte{0x1f, 0x8b}):
		return b.unpack(buffered)
	case start[0] != 0x30: // SEQUENCE
		return errNoBackup
	}
	return b.decrypt(ctx, buffered, keys)
}

// decrypt reads an encrypted backup.
func (b *Backup) decrypt(ctx context.Context, r io.Reader, keys certs.DecryptionKeys) error {
	spool, err := os.Create(b.folder.path("ciphertext"))
	if err != nil {
		return err
	}
	defer spool.Close()
	e, err := cms.ReadEnvelopedData(r, spool)
	if err != nil {
		return fmt.Errorf("%w: %w", errNoBackup, err)
	}
	for i := range e.Recipients {
		ids, err := keys.Decryption(ctx, e.Recipients[i].ID)
		if err != nil {
			return err
		}
		if len(ids) > 0 {
			return b.decryptWith(e, i, ids[0])
		}
	}
	return ErrEncrypted
}

func (b *Backup) decryptWith(e *cms.EnvelopedData, recipient int, id *certs.Identity) error {
	from, into := io.Pipe()
	failed := make(chan error, 1)
	go func() {
		err := e.DecryptTo(into, recipient, id.Key, cms.DecryptOptions{})
		failed <- errors.Join(err, into.CloseWithError(err))
	}()
	err := b.unpack(from)
	if err == nil {
		_, err = io.Copy(io.Discard, from) // the padding of the archive
	}
	return errors.Join(err, from.Close(), <-failed)
}

// unpack puts the files of an archive into the folder.
func (b *Backup) unpack(r io.Reader) error {
	z, err := gzip.NewReader(r)
	if err != nil {
		return fmt.Errorf("%w: %w", errNoBackup, err)
	}
	t := tar.NewReader(z)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("%w: %w", errNoBackup, err)
		}
		if err := b.put(h, t); err != nil {
			return err
		}
	}
	// The checksum of gzip is behind the end of the archive.
	if _, err := io.Copy(io.Discard, z); err != nil { //nolint:gosec // G110: nothing is kept
		return err
	}
	text, err := os.ReadFile(b.folder.path(manifestName))
	if err != nil {
		return errNoBackup
	}
	b.Manifest, err = readManifest(text)
	return err
}

// put writes a file of the archive into the folder.
func (b *Backup) put(h *tar.Header, r io.Reader) error {
	name := path.Clean(h.Name)
	if h.Typeflag != tar.TypeReg || !filepath.IsLocal(name) || !known(name) {
		return fmt.Errorf("%w: it has %q in it", errNoBackup, h.Name)
	}
	target := b.folder.path(filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(target, os.O_WRONLY|os.O_CREATE|os.O_EXCL, h.FileInfo().Mode().Perm()|0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Close())
}

// known reports whether Write makes files of this name.
func known(name string) bool {
	switch name {
	case manifestName, storeName, queueName, historyName, consoleName, keyName, configName:
		return true
	}
	return strings.HasPrefix(name, filesFolder+"/")
}
