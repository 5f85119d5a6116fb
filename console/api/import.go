package api

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/smimerelay/smimerelay/certs/describe"
	"github.com/smimerelay/smimerelay/certs/file"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/console/access"
)

// Import is certificates to be imported.
type Import struct{ Body PEM }

// maxImport is how many certificates one request imports.
const maxImport = 100

// Imported is what became of the certificates of an import. Each is counted once.
type Imported struct {
	Items   []describe.Stored `json:"items" doc:"Those that are in the store now."`
	Added   int               `json:"added" doc:"How many of them were not there before."`
	Changed int               `json:"changed" doc:"How many were there, and are different now: harvested before, for example, and imported now."`
	Known   int               `json:"known" doc:"How many were there as they are."`
	Refused []string          `json:"refused" doc:"Why others were not taken: a line for each."`
}

// ImportCertificates puts certificates of partners into the store: to be encrypted to if they
// are valid by the trust of the configuration. One that cannot be read, or that the store does not
// take, keeps none of the others out. Private keys are refused: a browser or a program over HTTP is
// no way for them.
func (o *Operations) ImportCertificates(ctx context.Context, in *Import) (*Body[Imported], error) {
	if strings.Contains(in.Body.PEM, "PRIVATE KEY-----") {
		return nil, huma.Error422UnprocessableEntity(privateKeyInIt)
	}
	list, err := file.ParseCertificates([]byte(in.Body.PEM))
	skipped, other := file.Skipped(err)
	switch {
	case len(list) == 0 || other != nil:
		return nil, huma.Error422UnprocessableEntity("not certificates: " + err.Error())
	case len(list)+len(skipped) > maxImport:
		return nil, huma.Error422UnprocessableEntity(tooManyCertificates)
	}
	out := &Imported{Refused: []string{}}
	for _, s := range skipped {
		out.Refused = append(out.Refused, s.Error())
	}
	slices.SortFunc(list, func(a, b *x509.Certificate) int { return strings.Compare(string(a.Raw), string(b.Raw)) })
	list = slices.CompactFunc(list, (*x509.Certificate).Equal)
	if err := o.importAll(ctx, list, out); err != nil {
		return nil, err
	}
	return body(*out), nil
}

// importAll puts certificates into the store, and adds to out what became of each. Where it takes
// none, that is the error.
func (o *Operations) importAll(ctx context.Context, list []*x509.Certificate, out *Imported) error {
	var files []store.File
	var names []string
	for _, c := range list {
		files = append(files, store.File{Certificates: []*x509.Certificate{c}})
		names = append(names, fingerprint(c))
	}
	p, release := o.Gateway.Use()
	defer release()
	err := o.audited(ctx, access.Entry{Action: "certificate.import", Object: strings.Join(names, " ")}, func() error {
		done, err := p.Store.Import(ctx, files...)
		if err != nil {
			return err
		}
		return out.count(done, &names)
	})
	if err != nil {
		return err
	}
	for _, name := range names {
		e, err := o.find(ctx, p.Store, Fingerprint{name})
		if err != nil {
			return err
		}
		out.Items = append(out.Items, describe.Entry(e))
	}
	return nil
}

// count adds what became of files of one certificate each, and removes the names of those that were
// refused.
func (i *Imported) count(done []store.ImportedFile, names *[]string) error {
	var taken []string
	for n, f := range done {
		if f.Err != nil {
			i.Refused = append(i.Refused, f.Err.Error())
			continue
		}
		taken = append(taken, (*names)[n])
		i.Added, i.Changed, i.Known = i.Added+f.New, i.Changed+f.Changed, i.Known+f.Known
	}
	*names = taken
	if len(taken) > 0 {
		return nil
	}
	var details []error
	for _, text := range i.Refused {
		details = append(details, &huma.ErrorDetail{Location: "body.pem", Message: text})
	}
	return huma.Error422UnprocessableEntity(fmt.Sprintf("none of %d certificates was taken", len(i.Refused)), details...)
}
