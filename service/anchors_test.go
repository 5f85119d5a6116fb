package service

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/internal/testing/configtest"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// TestPrivateAuthority: a certificate that says nowhere what is revoked is refused
// for good, with the remedy; and the remedy works.
func TestPrivateAuthority(t *testing.T) {
	require := strings.Replace(storedConfig, "revocation = \"off\"\n", "", 1)
	w := startWorld(t, require)
	s := w.open(w.storeFile())
	put(t, s, testpki.Must(w.ca.Issue(testpki.Leaf{Addresses: []string{"bob@enc.example"}})))
	put(t, s, testpki.Must(w.ca.Issue(testpki.Leaf{Addresses: []string{"carol@enc.example"}, CRLs: []string{"http://x.org/list"}})))
	w.settled(s)
	w.wantReply("nothing to ask", "bob@enc.example", 550)
	if err := w.sendTo("bob@enc.example"); err == nil || !strings.Contains(err.Error(), "set revocation for its anchor or name crls") {
		t.Errorf("no remedy in %v", err)
	}
	w.wantReply("a list that cannot be had", "carol@enc.example", 451)
	table := "anchors = []\n[[trust.anchor]]\npath = \"ca.pem\"\nrevocation = \"off\"\nnote = \"no lists\"\n"
	before, after, _ := strings.Cut(require, "anchors = [\"ca.pem\"]\n")
	fetch, rest, _ := strings.Cut(after, "[[rule]]")
	w.reload(before+fetch+table+"[[rule]]"+rest, "msg=reloaded")
	w.wantReply("a mode of its own", "bob@enc.example", 0)
	w.wantReply("a mode of its own", "carol@enc.example", 0)
}

// TestAnchorTables: what check warns of and complains of.
func TestAnchorTables(t *testing.T) {
	dir := t.TempDir()
	ca := testpki.Must(testpki.NewCA(testpki.Options{Name: "Private"}))
	if err := os.WriteFile(filepath.Join(dir, "ca.pem"), testpki.EncodeCertificates(ca.Root), 0o600); err != nil {
		t.Fatal(err)
	}
	const warning = `no certificate below "CN=Private" can pass`
	off, prefer := "[[trust.anchor]]\npath = \"ca.pem\"\nrevocation = \"off\"\n", "[[trust.anchor]]\npath = \"ca.pem\"\nrevocation = \"prefer\"\n"
	for _, c := range []struct {
		name, trust    string
		warned, refuse string
	}{
		{"off", off, "", ""},
		{"off, and in the list", "anchors = [\"ca.pem\"]\n" + off, "", ""},
		{"as the section", "[[trust.anchor]]\npath = \"ca.pem\"\n", warning, ""},
		{"required here alone", "revocation = \"off\"\n[[trust.anchor]]\npath = \"ca.pem\"\nrevocation = \"require\"\n", warning, ""},
		{"two modes", off + prefer, "", `has revocation "off" in one table and "prefer" in another`},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(dir, "config.toml")
			text := "hostname = \"gw.example.org\"\n[store]\nurl = \"\"\nkey_file = \"" + dir + "/store.key\"\n[trust]\nfetch = false\n" + c.trust
			if err := os.WriteFile(file, []byte(configtest.Elsewhere(text, dir)), 0o600); err != nil {
				t.Fatal(err)
			}
			parts, problems := Load(file, time.Now, slog.New(slog.DiscardHandler))
			if c.refuse != "" {
				if !strings.Contains(problems.Error(), c.refuse) {
					t.Errorf("problems: %v", problems)
				}
				return
			}
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			defer parts.Close()
			if found := parts.Gateway.Trusted(cms.CertificateID(ca.Root)); len(found) == 0 {
				t.Error("the gateway does not know the anchor")
			}
			if got := about(parts.Warnings(Holdings{}, time.Now()), "can pass"); strings.Contains(got, warning) != (c.warned != "") {
				t.Errorf("warnings: %q", got)
			}
		})
	}
}

// about returns the text of the problems that speak of something.
func about(ps config.Problems, of string) string {
	var found []string
	for _, p := range ps {
		if strings.Contains(p.Text, of) {
			found = append(found, p.Text)
		}
	}
	return strings.Join(found, "; ")
}
