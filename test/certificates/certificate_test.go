package certificates

import (
	"cmp"
	"crypto"
	"crypto/x509"
	_ "embed"
	"encoding/hex"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/internal/testing/otherreader"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

var (
	count = flag.Int("certificates", 4000, "how many mutated certificates are compared; 100000 before a release")
	seed  = flag.Uint64("seed", 1, "of the mutations")
)

// differences names the kinds of certificates that only one of the two reads, with
// the reason, a line each: who reads it, what the other says, why.
//
//go:embed testdata/differences.tsv
var differences string

// startLibcrypto runs a program that reads certificates with libcrypto.
func startLibcrypto(t *testing.T) *otherreader.Reader {
	t.Helper()
	program := filepath.Join(t.TempDir(), "certificate")
	if out, err := exec.Command("cc", "-O1", "-o", program, "testdata/certificate.c", "-lcrypto").CombinedOutput(); err != nil {
		t.Fatalf("install gcc and libssl-dev: %v\n%s", err, out)
	}
	return otherreader.Start(t, exec.Command(program))
}

// originals are what is mutated: several keys, and everything that is compared.
func originals(t *testing.T) [][]byte {
	t.Helper()
	var list [][]byte
	for _, key := range []string{"rsa2048", "p256", "p384", "ed25519"} {
		ca := testpki.Must(testpki.NewCA(testpki.Options{Key: key}))
		leaf := testpki.Must(ca.Issue(testpki.Leaf{
			Key: key, Addresses: []string{"a@example.org", "b@example.org"}, SubjectEmail: "a@example.org",
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection, x509.ExtKeyUsageClientAuth},
			CRLs:        []string{"http://x.example/crl"}, OCSP: []string{"http://x.example/ocsp"}, Issuers: []string{"http://x.example/ca"},
		}))
		list = append(list, ca.Root.Raw, leaf.Certificate.Raw)
	}
	return list
}

func TestLibcryptoReadsTheSame(t *testing.T) {
	known := knownDifferences(t)
	l, r, from := startLibcrypto(t), rand.New(rand.NewPCG(*seed, 0)), originals(t)
	met := map[string]int{}
	both := 0
	for i := range *count {
		der := from[i%len(from)]
		if i >= len(from) {
			der = mutate(r, der)
		}
		theirs := string(l.Lines(t, der)[0])
		ours, err := pkix.ParseCertificate(der)
		kind := ""
		switch usable := strings.HasPrefix(theirs, "read\t"); {
		case err == nil && usable:
			both++
			if d := differ(ours, theirs); d != "" {
				t.Errorf("%s:\nours   %s\ntheirs %s\n%x", d, describe(ours), theirs, der)
			}
			continue
		case err == nil:
			kind = "ours\t" + strings.TrimPrefix(theirs, "refused ")
		case usable:
			kind = "theirs\t" + strings.TrimPrefix(err.Error(), "certificate: ")
		default:
			continue
		}
		if met[kind]++; met[kind] == 1 && known[kind] == "" {
			t.Errorf("only one reads it, and testdata/differences.tsv does not say why: %s\n%x", kind, der)
		}
	}
	t.Logf("%d certificates: both read %d and agree; only one reads:", *count, both)
	for _, kind := range slices.Sorted(maps.Keys(met)) {
		t.Logf("%6d %s: %s", met[kind], strings.ReplaceAll(kind, "\t", ": "), known[kind])
	}
	if both < *count/10 {
		t.Errorf("both read only %d of %d: the mutations are too coarse", both, *count)
	}
}

func knownDifferences(t *testing.T) map[string]string {
	t.Helper()
	known := map[string]string{}
	for line := range strings.Lines(differences) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(fields) != 3 || fields[2] == "" {
			t.Fatalf("differences: %q", line)
		}
		known[fields[0]+"\t"+fields[1]] = fields[2]
	}
	return known
}

var field = regexp.MustCompile(`([a-z]+)=([^\t]*)`)

// differ names the first thing that was understood in two ways, "" for none.
func differ(c *x509.Certificate, line string) string {
	theirs := map[string]string{}
	for _, m := range field.FindAllStringSubmatch(line, -1) {
		theirs[m[1]] = m[2]
	}
	ours := understood(c)
	for _, name := range slices.Sorted(maps.Keys(ours)) {
		if ours[name] != theirs[name] {
			return fmt.Sprintf("%s: ours %q, theirs %q", name, ours[name], theirs[name])
		}
	}
	return differentKey(c, theirs["key"])
}

// understood is what internal/pkix read, in the words of certificate.c.
func understood(c *x509.Certificate) map[string]string {
	const form = "20060102150405"
	m := map[string]string{
		"issuer": hex.EncodeToString(c.RawIssuer), "subject": hex.EncodeToString(c.RawSubject),
		"from": c.NotBefore.Format(form), "until": c.NotAfter.Format(form),
		"usage": "none", "ext": "none", "ca": "0", "path": "-1", "skid": hex.EncodeToString(c.SubjectKeyId),
	}
	serial := hex.EncodeToString(c.SerialNumber.Bytes())
	m["serial"] = cmp.Or(serial, "00")
	if c.SerialNumber.Sign() < 0 {
		m["serial"] = "-" + m["serial"]
	}
	for _, e := range c.Extensions {
		switch e.Id.String() {
		case "2.5.29.15":
			m["usage"] = usage(c.KeyUsage)
		case "2.5.29.37":
			m["ext"] = "0"
			if slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageEmailProtection) {
				m["ext"] = "1"
			}
		}
	}
	if c.IsCA {
		m["ca"], m["path"] = "1", fmt.Sprint(c.MaxPathLen)
	}
	for _, a := range c.EmailAddresses {
		m["addresses"] += hex.EncodeToString([]byte(a)) + ","
	}
	return m
}

// usage writes the bits as libcrypto counts them: the first is 0x80, the ninth
// 0x8000.
func usage(u x509.KeyUsage) string {
	n := 0
	for i := range 8 {
		if u&(1<<i) != 0 {
			n |= 0x80 >> i
		}
	}
	if u&x509.KeyUsageDecipherOnly != 0 {
		n |= 0x8000
	}
	return fmt.Sprintf("%03x", n)
}

// differentKey compares keys that both can use.
func differentKey(c *x509.Certificate, theirs string) string {
	_, text, ok := strings.Cut(theirs, ":")
	der, err := hex.DecodeString(text)
	key, comparable := pkix.PublicKey(c).(interface{ Equal(crypto.PublicKey) bool })
	if !ok || err != nil || !comparable {
		return ""
	}
	other := pkix.PublicKey(&x509.Certificate{RawSubjectPublicKeyInfo: der})
	if other == nil || key.Equal(other) {
		return ""
	}
	return "the keys differ"
}

func describe(c *x509.Certificate) string { return fmt.Sprint(understood(c)) }
