package file

import (
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// Editors, mail and databases put line ends and NULs behind files in DER. They do
// no harm; anything else there does.
func TestFilesWithSomethingBehind(t *testing.T) {
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	id := testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{"a@x.org"}}))
	files := map[string][]byte{
		"certificate": id.Certificate.Raw,
		".p7b":        cms.CertsOnly(id.Chain, nil).Bytes(),
		"PKCS #12":    testpki.Must(id.PKCS12("secret")),
	}
	files[".p7b"] = cms.CertsOnly(append(id.Chain, id.Certificate), nil).Bytes()
	files[".sst"] = serializedStore(id.Certificate.Raw)
	words := map[string]string{
		"certificate": "behind it", ".p7b": "cms: malformed: trailing data", "PKCS #12": "PKCS #12 that is", ".sst": "behind its end",
	}
	for name, file := range files {
		for behind, good := range map[string]bool{"": true, "\n": true, "\r\n": true, "\x00": true, "\r\n\x00\x00": true, "\x05\x00": false, "x": false} {
			c, err := ParseContents(append(append([]byte{}, file...), behind...), "secret")
			if (err == nil) != good || err != nil && !strings.Contains(err.Error(), words[name]) {
				t.Errorf("%s with %q behind it: %v", name, behind, err)
			}
			if err == nil && len(c.Identities)+len(c.Certificates) == 0 {
				t.Errorf("%s with %q behind it: nothing", name, behind)
			}
		}
	}
	if c, err := ParseContents(append(append([]byte{}, id.Certificate.Raw...), '\n'), ""); err != nil || string(c.Certificates[0].Raw) != string(id.Certificate.Raw) {
		t.Errorf("the line end is taken for the certificate's: %v", err)
	}
}
