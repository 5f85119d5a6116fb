package directory

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/file"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/smime/address"
)

// A folder is trusted not to have changed for rescanAfter, and for longer if it
// is so large that looking takes long: for rescanShare times as long as that took.
const (
	rescanAfter = time.Second
	rescanShare = 50
)

// Files is a Source over a folder (or one file) of certificates, by the
// addresses in them. It notices added, changed and removed files by itself.
type Files struct {
	Plain

	name  string
	path  string
	clock func() time.Time

	mu      sync.Mutex
	rescan  time.Time // when to look next
	version uint64
	listing string // names, sizes and times as of the last scan
	all     []*x509.Certificate
	byKey   map[string][]*x509.Certificate
	// hints are the authorities' certificates: they help to build chains.
	hints []*x509.Certificate
	// err is why the folder or a file could not be read, problem what is
	// wrong with files that could.
	err, problem error
}

// NewFiles returns a source over path, which must be readable. A file that
// holds no certificate is a problem (see Problems), not an error.
func NewFiles(name, path string) (*Files, error) { return newFiles(name, path, time.Now) }

func newFiles(name, path string, clock func() time.Time) (*Files, error) {
	f := &Files{name: "files:" + name, path: path, clock: clock}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.scan()
	if f.err != nil {
		return nil, fmt.Errorf("%s: %w", f.name, f.err)
	}
	return f, nil
}

// Name returns "files:" and the configured name.
func (f *Files) Name() string { return f.name }

// Problems are what is wrong with the folder and with its files, one by one.
func (f *Files) Problems() []error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.scan()
	return append(fault.Each(f.err), fault.Each(f.problem)...)
}

// Version changes when the folder does.
func (f *Files) Version() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.scan()
	return f.version
}

// Find returns the certificates that name addr, and those of the authorities in the
// folder when there are any that do. Where none does, the certificate may be in one
// of the files that could not be read: the notes name these.
func (f *Files) Find(_ context.Context, addr address.Address) (Finding, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.scan()
	own := f.byKey[addr.Key(address.IgnoreCase)]
	if len(own) > 0 {
		return Finding{Certificates: append(own[:len(own):len(own)], f.hints...)}, f.err
	}
	var found Finding
	found.noteEach(f.problem)
	return found, f.err
}

// scan reads the folder again if it may have changed. f.mu is held.
func (f *Files) scan() {
	begin := f.clock()
	if begin.Before(f.rescan) {
		return
	}
	defer func() {
		end := f.clock()
		f.rescan = end.Add(max(rescanAfter, rescanShare*end.Sub(begin)))
	}()
	listing, err := listFiles(f.path)
	if err != nil {
		f.err = err
		f.listing = ""
		f.version++
		return
	}
	if listing == f.listing && f.err == nil {
		return
	}
	all, err := file.ReadCertificates(f.path)
	f.listing, f.err, f.problem = listing, nil, nil
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		f.err = pathErr
	} else {
		f.problem = err
	}
	f.version++
	f.index(all)
}

func (f *Files) index(all []*x509.Certificate) {
	f.all, f.byKey, f.hints = all, make(map[string][]*x509.Certificate), nil
	for _, c := range all {
		if isAuthority(c) {
			f.hints = append(f.hints, c)
		}
		for _, a := range certs.Addresses(c) {
			key := a.Key(address.IgnoreCase)
			f.byKey[key] = append(f.byKey[key], c)
		}
	}
}

// listFiles describes the files of a folder, so that a change can be seen.
func listFiles(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if !info.IsDir() {
		return describeFile(info), nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, e := range entries {
		// The file itself, not a link to it, is what changes.
		info, err := os.Stat(path + string(os.PathSeparator) + e.Name())
		if err != nil {
			fmt.Fprintf(&b, "%s: %v\n", e.Name(), err) // gone, or a dangling link
			continue
		}
		b.WriteString(describeFile(info))
	}
	return b.String(), nil
}

func describeFile(info fs.FileInfo) string {
	return fmt.Sprintf("%s %d %d\n", info.Name(), info.Size(), info.ModTime().UnixNano())
}
