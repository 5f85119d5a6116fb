package service

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/smimerelay/smimerelay/certs/ca"
	"github.com/smimerelay/smimerelay/internal/filesystem"
)

// publicFile is one of the files that partners fetch.
type publicFile struct {
	name, mediaType string
	content         []byte
	at              time.Time // when it was made
}

// Media types of RFC 2585 section 4.
const (
	typeCRL         = "application/pkix-crl"
	typeCertificate = "application/pkix-cert"
)

// files returns what is published now, as the store has it.
func (a *Authorities) files(ctx context.Context) ([]publicFile, error) {
	var list []publicFile
	for _, h := range a.all {
		place := ca.Place{Name: h.Name}
		list = append(list, publicFile{place.Certificate(), typeCertificate, h.Certificate.Raw, h.Certificate.NotBefore})
		l, err := a.CRL(ctx, h)
		if err != nil {
			return nil, err
		}
		if l != nil {
			list = append(list, publicFile{place.CRL(), typeCRL, l.Raw, l.ThisUpdate})
		}
	}
	return list, nil
}

// CRL returns the revocation list that is kept of an authority; nil: none is.
func (a *Authorities) CRL(ctx context.Context, h Held) (*x509.RevocationList, error) {
	der, err := a.store.CRL(ctx, h.Certificate.RawSubject)
	if err != nil || der == nil {
		return nil, err
	}
	l, err := x509.ParseRevocationList(der)
	if err != nil {
		return nil, fmt.Errorf("CRL of %q in the store: %w", h.Certificate.Subject.CommonName, err)
	}
	return l, nil
}

// WriteFiles writes the files into the configured folder, those that differ, and
// returns their names. Each is replaced as a whole.
func (a *Authorities) WriteFiles(ctx context.Context) ([]string, error) {
	folder := a.config.CA.Folder
	if folder == "" {
		return nil, nil
	}
	var written []string
	// Another process that makes a list meanwhile writes it too, and ours is the older: look again.
	for range 3 {
		files, err := a.files(ctx)
		if err != nil {
			return written, err
		}
		before := len(written)
		for _, f := range files {
			path := filepath.Join(folder, f.name)
			if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, f.content) {
				continue
			}
			if err := replace(path, f.content); err != nil {
				return written, fmt.Errorf("ca.folder: %w", err)
			}
			written = append(written, path)
		}
		if len(written) == before {
			break
		}
	}
	return written, nil
}

// replace writes a public file.
func replace(path string, content []byte) error {
	return filesystem.Replace(path, func(f *os.File) error {
		_, err := f.Write(content)
		return errors.Join(err, f.Chmod(0o644))
	})
}

// admin serves metrics and health, and what our authority publishes.
func (s *Service) admin(health http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", health)
	mux.HandleFunc("GET /ca/{file}", s.serveFile)
	return s.withOCSP(mux)
}

func (s *Service) serveFile(w http.ResponseWriter, r *http.Request) {
	p, release := s.use()
	defer release()
	if p.authorities == nil {
		http.NotFound(w, r)
		return
	}
	files, err := p.authorities.files(r.Context())
	if err != nil {
		s.log.Warn("published CA files could not be read", "error", err)
		http.Error(w, "try again later", http.StatusServiceUnavailable)
		return
	}
	for _, f := range files {
		if f.name == r.PathValue("file") {
			w.Header().Set("Content-Type", f.mediaType)
			w.Header().Set("Cache-Control", "max-age=300")
			http.ServeContent(w, r, f.name, f.at, bytes.NewReader(f.content))
			return
		}
	}
	http.NotFound(w, r)
}
