package store

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"

	"github.com/smimerelay/smimerelay/certs"
)

// File is what a file holds that is imported.
type File struct {
	// Digest is the SHA-256 of the file.
	Digest       [sha256.Size]byte
	Identities   []*certs.Identity
	Certificates []*x509.Certificate
}

// ImportedFile is what became of a File: it was stored whole, or for Err not at
// all.
type ImportedFile struct {
	Stored
	Err error
}

// Import stores files, all in one transaction, with the origin Imported. A file
// that the store does not take is refused, which is no hindrance to the others. On
// an error nothing was stored.
func (s *Store) Import(ctx context.Context, files ...File) ([]ImportedFile, error) {
	done := make([]ImportedFile, len(files))
	items := make([][]item, len(files))
	any := false
	for i, f := range files {
		items[i], done[i].Err = s.prepareFile(f)
		any = any || done[i].Err == nil
	}
	if !any {
		return done, nil
	}
	err := s.change(ctx, func(c *change) error {
		for i, f := range files {
			if done[i].Err != nil {
				continue
			}
			if err := s.putFile(ctx, c, f, items[i], &done[i].Stored); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, failed(err)
	}
	return done, nil
}

// prepareFile makes items of the identities first, then of the certificates.
func (s *Store) prepareFile(f File) ([]item, error) {
	if len(f.Identities) > 0 && s.sealer == nil {
		return nil, ErrNoKeyFile
	}
	items := make([]item, 0, len(f.Identities)+len(f.Certificates))
	for _, id := range f.Identities {
		it, err := s.prepareIdentity(id)
		if err != nil {
			return nil, err
		}
		items = append(items, it)
	}
	for _, cert := range f.Certificates {
		it, err := prepare(New{Certificate: cert})
		if err != nil {
			return nil, err
		}
		items = append(items, it)
	}
	if len(items) == 0 {
		return nil, errors.New("there is nothing in it to be stored")
	}
	return items, nil
}

func (s *Store) putFile(ctx context.Context, c *change, f File, items []item, stored *Stored) error {
	for i := range items {
		if err := s.putOne(ctx, c, Imported, &items[i], stored); err != nil {
			return err
		}
		if len(f.Identities) == 0 {
			continue
		}
		if _, err := c.ExecContext(ctx, `INSERT INTO store_file (digest, fingerprint, has_key) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
			f.Digest[:], items[i].fingerprint[:], items[i].sealed != nil); err != nil {
			return err
		}
	}
	return nil
}

// Imported returns how many identities and other certificates came from a file
// with private keys; none where it was not imported, or not all of it is in the
// store any more. Files without private keys are not remembered.
func (s *Store) Imported(ctx context.Context, digest [sha256.Size]byte) (identities, certificates int, err error) {
	var missing int
	err = s.read.QueryRowContext(ctx, `SELECT
		COALESCE(SUM(CASE WHEN f.has_key THEN 1 ELSE 0 END), 0),
		COALESCE(SUM(CASE WHEN f.has_key THEN 0 ELSE 1 END), 0),
		COALESCE(SUM(CASE WHEN c.fingerprint IS NULL OR f.has_key AND k.fingerprint IS NULL THEN 1 ELSE 0 END), 0)
		FROM store_file f
		LEFT JOIN store_certificate c ON c.fingerprint = f.fingerprint
		LEFT JOIN store_key k ON k.fingerprint = f.fingerprint
		WHERE f.digest = $1`, digest[:]).Scan(&identities, &certificates, &missing)
	if err != nil {
		return 0, 0, failed(err)
	}
	if missing > 0 {
		return 0, 0, nil
	}
	return identities, certificates, nil
}
