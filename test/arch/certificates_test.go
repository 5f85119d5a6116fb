package arch

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// libraryReaders are what code may not call, with what to call instead: internal/pkix
// has the one reader of certificates, the one check of a signature, and the one way
// to write a name.
var libraryReaders = map[string]string{
	"x509.ParseCertificate": "pki.ParseCertificate",
	".CheckSignatureFrom(":  "pki.SignedBy",
	".Subject.String()":     "pki.SubjectString",
	".Issuer.String()":      "pki.IssuerString",
	"pkcs7.Parse(":          "cms.ParseBundle",
}

// testSupport makes certificates for tests, which need no other reader.
var testSupport = []string{"internal/testing/testpki/", "internal/testing/wiretest/", "test/"}

func TestOneReaderOfCertificates(t *testing.T) {
	root := filepath.Join("..", "..")
	seen := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil || d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return err
		}
		for _, support := range testSupport {
			if strings.HasPrefix(filepath.ToSlash(name), support) {
				return nil
			}
		}
		text, err := os.ReadFile(path)
		for call, instead := range libraryReaders {
			for i, line := range strings.Split(string(text), "\n") {
				code, _, _ := strings.Cut(line, "//")
				code = strings.ReplaceAll(code, "x509.ParseCertificateRequest(", "") // a request is no certificate
				if strings.Contains(code, call) {
					t.Errorf("%s:%d calls %s; use %s", name, i+1, call, instead)
				}
			}
		}
		seen++
		return err
	})
	if err != nil || seen < 100 {
		t.Fatalf("%d files, %v", seen, err)
	}
}
