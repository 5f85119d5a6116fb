package file

import (
	"bytes"
	"encoding/binary"
	"encoding/pem"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

func TestReadCertificates(t *testing.T) {
	a := testpki.Must(testpki.NewCA(testpki.Options{Name: "A"})).Root
	b := testpki.Must(testpki.NewCA(testpki.Options{Name: "B"})).Root
	dir := t.TempDir()
	write(t, 0o644, testpki.EncodeCertificates(a, b, a), dir, "two.pem")
	write(t, 0o644, a.Raw, dir, "one.cer")
	write(t, 0o644, bundle(t, dir), dir, "both.p7b")
	write(t, 0o644, pem.EncodeToMemory(&pem.Block{Type: "PKCS7", Bytes: bundle(t, dir)}), dir, "pem.p7c")
	write(t, 0o644, serializedStore(a.Raw, b.Raw), dir, "both.sst")
	for name, n := range map[string]int{"two.pem": 2, "one.cer": 1, "both.p7b": 2, "pem.p7c": 2, "both.sst": 2, ".": 2} {
		list, err := ReadCertificates(filepath.Join(dir, name))
		if err != nil || len(list) != n {
			t.Errorf("%s: %d certificates, %v; want %d", name, len(list), err, n)
		}
	}
	write(t, 0o644, []byte("hello"), dir, "README")
	if _, err := ReadCertificates(dir); err != nil {
		t.Errorf("a folder with a README: %v", err)
	}
	write(t, 0o644, []byte("hello"), dir, "bad1.pem")
	write(t, 0o644, a.Raw[:100], dir, "bad2.der")
	list, err := ReadCertificates(dir)
	if err == nil || !strings.Contains(err.Error(), "bad1.pem") || !strings.Contains(err.Error(), "bad2.der") || len(list) != 2 {
		t.Errorf("two bad files: %d certificates, %v", len(list), err)
	}
	if list, err := ReadCertificates(t.TempDir()); err != nil || list != nil {
		t.Errorf("an empty folder: %v, %v", list, err)
	}
	if _, err := ReadCertificates(filepath.Join(dir, "absent")); err == nil {
		t.Error("an absent file was read")
	}
}

// bundle makes a .p7b of two.pem with openssl.
func bundle(t *testing.T, dir string) []byte {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Fatal("install openssl: apt-get install openssl")
	}
	out, err := exec.Command("openssl", "crl2pkcs7", "-nocrl", "-outform", "DER", "-certfile", filepath.Join(dir, "two.pem")).Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// serializedStore writes what Windows does, a property before each certificate.
func serializedStore(ders ...[]byte) []byte {
	b := bytes.Clone(storeMagic)
	element := func(kind uint32, value []byte) {
		b = binary.LittleEndian.AppendUint32(b, kind)
		b = binary.LittleEndian.AppendUint32(b, storeEncoding)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(value)))
		b = append(b, value...)
	}
	for _, der := range ders {
		element(3, make([]byte, 20))
		element(storeCertificate, der)
	}
	return append(b, make([]byte, 12)...)
}

func TestHostileBundles(t *testing.T) {
	deep := bytes.Repeat([]byte{0x30, 0x80}, 1<<20)
	for name, data := range map[string][]byte{
		"deep":                  deep,
		"wide and indefinite":   append([]byte{0x30, 0x80}, bytes.Repeat([]byte{0x02, 0x01, 0x01}, 1<<20)...),
		"length beyond end":     {0x30, 0x84, 0xff, 0xff, 0xff, 0xff},
		"truncated":             {0x30},
		"end without start":     {0, 0, 0, 0},
		"high tag":              {0x1f, 0x80, 0x80},
		"store, truncated":      serializedStore([]byte("x"))[:30],
		"store, huge element":   append(bytes.Clone(storeMagic), 32, 0, 0, 0, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff),
		"store, no certificate": serializedStore(),
	} {
		if list, err := ParseCertificates(data); err == nil {
			t.Errorf("%s: %d certificates", name, len(list))
		}
	}
}

func FuzzParseCertificates(f *testing.F) {
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	f.Add(ca.Root.Raw)
	f.Add(testpki.EncodeCertificates(ca.Root))
	f.Add(serializedStore(ca.Root.Raw))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := ParseCertificates(data)
		if err == nil && len(list) == 0 {
			t.Error("neither certificates nor an error")
		}
		for _, c := range list {
			certs.Addresses(c)
			certs.CheckPurpose(c, certs.ForEncryption)
		}
	})
}

// TestSecretText: what editors put around a password is not part of it.
func TestSecretText(t *testing.T) {
	for written, want := range map[string]string{
		"secret": "secret", "secret\r\n": "secret", "\uFEFFsecret\n": "secret", " se cret \n\n": " se cret ", "": "",
		"\xff\xfes\x00\xfc\x00\r\x00\n\x00": "sü", "\xfe\xff\x00s\x00\xfc\x00\n": "sü", "\xfe": "\xfe",
	} {
		if got := SecretText([]byte(written)); got != want {
			t.Errorf("%q: %q, want %q", written, got, want)
		}
	}
}

// TestPipesInFoldersAreNotOpened: without a writer, the reader would wait.
func TestPipesInFoldersAreNotOpened(t *testing.T) {
	dir := t.TempDir()
	l, err := net.Listen("unix", filepath.Join(dir, "x.pem"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for name, read := range map[string]func(string) error{
		"certificates": func(p string) error { _, err := ReadCertificates(p); return err },
		"lists":        func(p string) error { _, err := OpenLists(p, ""); return err },
		"identities":   func(p string) error { _, err := OpenIdentities(p, "", nil); return err },
	} {
		if err := read(dir); err == nil || !strings.Contains(err.Error(), "x.pem: not a regular file") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestListsBehindOneThatIsNotSupportedCount: such a list is named, and those behind it in
// the file are read.
func TestListsBehindOneThatIsNotSupportedCount(t *testing.T) {
	ca := testpki.Must(testpki.NewCA(testpki.Options{Key: "p256"}))
	good := testpki.Must(ca.CRL(testpki.CRL{}))
	ecdsaWithSHA256 := []byte{6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2}
	odd := bytes.ReplaceAll(good, ecdsaWithSHA256, []byte{6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 0x7f})
	dir := t.TempDir()
	write(t, 0o644, slices.Concat(testpki.EncodeCRL(good), testpki.EncodeCRL(odd), testpki.EncodeCRL(good)), dir, "a.pem")
	write(t, 0o644, odd, dir, "b.crl")
	lists, err := OpenLists(dir, "")
	skipped, other := Skipped(err)
	if len(lists) != 2 || other != nil || len(skipped) != 2 {
		t.Fatalf("%d lists, %v", len(lists), err)
	}
	for i, want := range []string{`a.pem": revocation list 2 in it is skipped: `, `b.crl": revocation list 1 in it is skipped: `} {
		if got := skipped[i].Error(); !strings.HasPrefix(got, "revocation lists ") || !strings.Contains(got, want) {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// TestAListIsMissedInNoBlock: a list under another type would be passed over.
func TestAListIsMissedInNoBlock(t *testing.T) {
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	der := testpki.Must(ca.CRL(testpki.CRL{}))
	block := func(kind string) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }
	for kind, read := range map[string]bool{"CRL": true, "X509CRL": false, "CERTIFICATE": false, "PKCS7": false} {
		lists, err := ReadCRLs(write(t, 0o644, append(testpki.EncodeCRL(der), block(kind)...), t.TempDir(), "a.pem"))
		if read != (err == nil) || read && len(lists) != 2 || !read && !strings.Contains(err.Error(), "block ") {
			t.Errorf("%s: %d lists, %v", kind, len(lists), err)
		}
	}
	with := append(testpki.EncodeCertificates(ca.Root), testpki.EncodeCRL(der)...)
	if lists, err := ReadCRLs(write(t, 0o644, with, t.TempDir(), "a.pem")); len(lists) != 1 || err != nil {
		t.Errorf("beside a certificate: %d lists, %v", len(lists), err)
	}
}

func TestReadCRLs(t *testing.T) {
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	der := testpki.Must(ca.CRL(testpki.CRL{}))
	dir := t.TempDir()
	write(t, 0o644, der, dir, "a.crl")
	write(t, 0o644, append(testpki.EncodeCRL(der), testpki.EncodeCRL(der)...), dir, "b.pem")
	lists, err := ReadCRLs(dir)
	if err != nil || len(lists) != 3 {
		t.Errorf("%d lists, %v", len(lists), err)
	}
	opened, err := OpenLists(dir, t.TempDir())
	if err != nil || len(opened) != 3 {
		t.Errorf("%d lists opened, %v", len(opened), err)
	}
	for name, data := range map[string][]byte{"text": []byte("hello"), "pem": testpki.EncodeCertificates(ca.Root), "cut": der[:50], "longer": append(bytes.Clone(der), 'x')} {
		if _, err := ReadCRLs(write(t, 0o644, data, dir, "bad")); err == nil {
			t.Errorf("%s was read", name)
		}
		if _, err := OpenLists(filepath.Join(dir, "bad"), ""); err == nil {
			t.Errorf("%s was opened", name)
		}
	}
	if err := os.Remove(filepath.Join(dir, "bad")); err != nil {
		t.Fatal(err)
	}
}
