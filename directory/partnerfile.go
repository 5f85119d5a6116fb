package directory

import (
	"context"

	"github.com/smimerelay/smimerelay/smime/address"
)

// PartnerFile is a Source over a file with the certificate of one address. Whose it is says the
// administrator, and not the names in it: certificates of gateways often have none, or
// that of a mailbox elsewhere.
type PartnerFile struct {
	*Files

	name string
	of   address.Address
}

// NewPartnerFile returns a source over path, a file or a folder, that knows of nothing but
// certificates of an address. A file that holds no certificate is a problem (see
// Problems), not an error.
func NewPartnerFile(name, path string, of address.Address) (*PartnerFile, error) {
	files, err := NewFiles(name, path)
	if err != nil {
		return nil, err
	}
	return &PartnerFile{Files: files, name: "partner:" + name, of: of}, nil
}

// Name returns "partner:" and the name given.
func (p *PartnerFile) Name() string { return p.name }

// Find returns all certificates of the file for its address.
func (p *PartnerFile) Find(_ context.Context, addr address.Address) (Finding, error) {
	if !addr.Equal(p.of, address.IgnoreCase) {
		return Finding{}, nil
	}
	f := p.Files
	f.mu.Lock()
	defer f.mu.Unlock()
	f.scan()
	found := Finding{Certificates: f.all, AnyName: true}
	found.noteEach(f.problem)
	return found, f.err
}
