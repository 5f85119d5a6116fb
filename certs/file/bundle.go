package file

import (
	"errors"

	"github.com/smimerelay/smimerelay/smime/cms"
)

// maxBundle limits a bundle, in octets.
const maxBundle = 8 << 20

var errBundleSize = errors.New("bundle: too large")

// parseBundle reads a certs-only CMS bundle (RFC 5652 section 5, RFC 8551
// section 3.8), or the certificates of any SignedData.
func parseBundle(der []byte, r *reading) error {
	if len(der) > maxBundle {
		return errBundleSize
	}
	list, problems, err := cms.ParseBundle(der)
	for i, c := range list {
		r.take(c, problems[i])
	}
	return err
}
