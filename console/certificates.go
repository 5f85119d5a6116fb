package console

import (
	"io"
	"net/http"
	"strings"

	"github.com/smimerelay/smimerelay/certs/describe"
	"github.com/smimerelay/smimerelay/console/api"
)

// certificatesView is what a search in the store found.
type certificatesView struct {
	listing[describe.Stored]
	Query       api.CertificateQuery
	Authorities []api.Authority
	Lookup      *api.Lookup
	Imported    *api.Imported
}

func showCertificates(v *visit) error {
	q := v.r.URL.Query()
	in := api.CertificateQuery{Paging: v.paging(), Origin: q.Get("origin"), Mark: q.Get("mark"), HasKey: q.Get("has_key")}
	// One field for people: an address, or the start of a fingerprint.
	if text := strings.TrimSpace(q.Get("q")); strings.Contains(text, "@") {
		in.Address = text
	} else {
		in.Prefix = text
	}
	return v.certificates(certificatesView{Query: in})
}

// certificates shows what a search finds, beside what was done before.
func (v *visit) certificates(view certificatesView) error {
	var err error
	if view.listing, err = listed(v.Operations.ListCertificates(v.r.Context(), &view.Query)); err != nil {
		return err
	}
	authorities, err := v.Operations.ListAuthorities(v.r.Context(), &api.Empty{})
	if err != nil {
		return err
	}
	view.Authorities = authorities.Body.Items
	return v.show(http.StatusOK, "certificates", "Certificates", view)
}

// importCertificates takes a file, or text that was pasted, and shows what became of each certificate.
func importCertificates(v *visit) error {
	in := api.Import{Body: api.PEM{PEM: v.r.PostFormValue("pem")}}
	uploaded, err := v.upload()
	if err != nil {
		return err
	}
	if uploaded != "" {
		in.Body.PEM = uploaded
	}
	done, err := v.Operations.ImportCertificates(v.r.Context(), &in)
	if err != nil {
		return err
	}
	return v.certificates(certificatesView{Imported: &done.Body})
}

// maxUpload is the most octets of a file.
const maxUpload = 5 << 20

// upload returns the contents of the file of a form, "" without one. Its name counts for nothing.
func (v *visit) upload() (string, error) {
	f, _, err := v.r.FormFile("file")
	if err != nil {
		return "", nil //nolint:nilerr // no file was chosen
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxUpload+1))
	if err != nil {
		return "", errBadForm
	}
	if len(data) > maxUpload {
		return "", errTooLarge
	}
	return string(data), nil
}

func lookUp(v *visit) error {
	in := api.LookupRequest{}
	in.Body.Address = strings.TrimSpace(v.r.PostFormValue("address"))
	found, err := v.Operations.LookupCertificates(v.r.Context(), &in)
	if err != nil {
		return err
	}
	return v.certificates(certificatesView{Query: api.CertificateQuery{Address: found.Body.Address}, Lookup: &found.Body})
}

func (v *visit) fingerprint() api.Fingerprint {
	return api.Fingerprint{SHA256: strings.ToLower(v.r.PathValue("sha256"))}
}

func showCertificate(v *visit) error {
	f := v.fingerprint()
	found, err := v.Operations.ShowCertificate(v.r.Context(), &f)
	if err != nil {
		return err
	}
	return v.show(http.StatusOK, "certificate", "Certificate", certificateView{found.Body, api.RevocationReasons()})
}

func downloadCertificate(v *visit) error {
	f := v.fingerprint()
	found, err := v.Operations.ExportCertificate(v.r.Context(), &f)
	if err != nil {
		return err
	}
	v.w.Header().Set("Content-Type", "application/x-pem-file")
	v.w.Header().Set("Content-Disposition", `attachment; filename="certificate.pem"`)
	if _, err := io.WriteString(v.w, found.Body.PEM); err != nil {
		v.Log.Debug("console: client is gone", "error", err)
	}
	return nil
}

func allowCertificate(v *visit) error {
	in, err := v.override()
	if err != nil {
		return v.refuse(err)
	}
	if _, err := v.Operations.AllowCertificate(v.r.Context(), in); err != nil {
		return err
	}
	return v.backTo(in.Fingerprint)
}

func blockCertificate(v *visit) error {
	in, err := v.override()
	if err != nil {
		return v.refuse(err)
	}
	if _, err := v.Operations.BlockCertificate(v.r.Context(), in); err != nil {
		return err
	}
	return v.backTo(in.Fingerprint)
}

// override reads the form of a trust override.
func (v *visit) override() (*api.Override, error) {
	in := &api.Override{Fingerprint: v.fingerprint()}
	in.Body.Note, in.Body.Until = v.r.PostFormValue("note"), v.r.PostFormValue("until")
	switch {
	case in.Body.Note == "":
		return nil, errReason
	case len(in.Body.Note) > maxReason:
		return nil, errTooLarge
	}
	return in, nil
}

// backTo shows a certificate again, after it was found: its path is made of digits.
func (v *visit) backTo(f api.Fingerprint) error {
	return v.redirect("/certificates/" + f.SHA256 + "?done=done")
}

// onCertificate does something with the certificate of the path.
func onCertificate(do func(*visit, *api.Fingerprint) error) func(*visit) error {
	return func(v *visit) error {
		f := v.fingerprint()
		if err := do(v, &f); err != nil {
			return err
		}
		return v.backTo(f)
	}
}

func clearCertificate(v *visit, f *api.Fingerprint) error {
	_, err := v.Operations.ClearCertificate(v.r.Context(), f)
	return err
}

func pinCertificate(v *visit, f *api.Fingerprint) error {
	_, err := v.Operations.PinCertificate(v.r.Context(), f)
	return err
}

func unpinCertificate(v *visit, f *api.Fingerprint) error {
	_, err := v.Operations.UnpinCertificate(v.r.Context(), f)
	return err
}
