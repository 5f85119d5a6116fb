package main

import (
	"bytes"
	"crypto/x509"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/smimerelay/smimerelay/internal/testing/configtest"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

func TestMain(m *testing.M) {
	testscript.Main(unraced{m}, map[string]func(){"smimerelay": main, "enqueue": enqueue, "hold": hold})
}

// TestScripts runs the real program: each file in testdata is a session.
func TestScripts(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Fatal("openssl is missing: apt-get install openssl")
	}
	pki := makePKI(t)
	testscript.Run(t, testscript.Params{
		Dir:             "testdata",
		ContinueOnError: true,
		Setup: func(env *testscript.Env) error {
			moveConfigurations(t, env.WorkDir)
			return os.CopyFS(env.WorkDir, os.DirFS(pki))
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "crlf": crlf},
	})
}

// moveConfigurations gives the configurations of a script places in its folder.
func moveConfigurations(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.toml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte("[[case]]")) {
			continue // it is a file of cases, no configuration
		}
		if err := os.WriteFile(file, []byte(configtest.Elsewhere(string(text), dir)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// exits runs a program and wants an exit status: exits 3 smimerelay verify ...
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits status program args...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		e, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Check(err)
		}
		got = e.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit status %d instead of %d", got, want)
	}
}

// crlf wants every line of a file, or of stdout, to end in CRLF.
func crlf(ts *testscript.TestScript, neg bool, args []string) {
	text := ts.ReadFile(args[0])
	for i := range len(text) {
		if text[i] == '\n' && (i == 0 || text[i-1] != '\r') {
			ts.Fatalf("%s: a bare LF at octet %d", args[0], i)
		}
	}
	if text == "" {
		ts.Fatalf("%s: is empty", args[0])
	}
}

// makePKI makes the authority and the people of the scripts: ca.pem,
// other-ca.pem, NAME.pem (key, certificate), NAME.cer (DER), alice.p12.
func makePKI(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, data []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ca := testpki.Must(testpki.NewCA(testpki.Options{Name: "Script CA"}))
	other := testpki.Must(testpki.NewCA(testpki.Options{Name: "Other CA"}))
	write("ca.pem", testpki.EncodeCertificates(ca.Certificate))
	write("other-ca.pem", testpki.EncodeCertificates(other.Certificate))
	for name, leaf := range map[string]testpki.Leaf{
		"alice": {Addresses: []string{"alice@example.org"}, Key: "rsa2048"},
		"bob":   {Addresses: []string{"bob@example.net"}, Key: "rsa2048"},
		"carol": {Addresses: []string{"carol@example.net"}},
	} {
		id := testpki.Must(ca.Issue(leaf))
		write(name+".pem", testpki.Must(id.PEM()))
		write(name+".cer", id.Certificate.Raw)
		write(name+".p12", testpki.Must(id.PKCS12("secret")))
		if name == "carol" {
			write("revoked.crl", testpki.Must(ca.CRL(testpki.CRL{Revoked: []*x509.Certificate{id.Certificate}})))
		}
	}
	write("password", []byte("secret\n"))
	return dir
}
