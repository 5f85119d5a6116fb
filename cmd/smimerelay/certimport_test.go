package main

import (
	"bufio"
	"bytes"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/certs/file"
	"github.com/smimerelay/smimerelay/certs/intake"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// TestImportIsKilled kills imports of a few thousand files with SIGKILL while they
// report. Everything that was reported is in the store, and the last one ends.
func TestImportIsKilled(t *testing.T) {
	s := newShelf(t)
	const identities, certificates = 80, 1120
	for i := range identities + certificates {
		id := testpki.Must(s.ca.Issue(testpki.Leaf{Addresses: []string{fmt.Sprintf("u%d@example.org", i)}}))
		name, data := fmt.Sprintf("files/%04d.cer", i), id.Certificate.Raw
		if i%15 == 0 {
			name, data = fmt.Sprintf("files/%04d.pem", i), testpki.Must(id.PEM())
		}
		if i == 0 {
			s.mkdir("files")
		}
		s.write(name, data)
	}
	after := []int{1, 120, 360, 720}
	for _, n := range after {
		s.wantStored(s.killedImport(n))
	}
	s.cert(exitDone, "import", s.path("files"))
	if n, err := s.store.Count(t.Context(), store.Query{}); n != identities+certificates || err != nil {
		t.Errorf("%d in the store, %v", n, err)
	}
	yes := true
	if n, err := s.store.Count(t.Context(), store.Query{HasKey: &yes}); n != identities || err != nil {
		t.Errorf("%d private keys in the store, %v", n, err)
	}
}

func (s *shelf) mkdir(name string) {
	s.t.Helper()
	if err := os.Mkdir(s.path(name), 0o700); err != nil {
		s.t.Fatal(err)
	}
}

// killedImport kills an import when it has reported n files, and returns all that
// it reported.
func (s *shelf) killedImport(n int) []intake.Outcome {
	s.t.Helper()
	cmd := exec.Command("smimerelay", "cert", "import", "--json", "--config", s.path("config.toml"), s.path("files"))
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	var all []intake.Outcome
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		var o intake.Outcome
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			break // the line that it was about to write
		}
		if all = append(all, o); len(all) == n {
			cmd.Process.Kill()
		}
	}
	if err := cmd.Wait(); err == nil || len(all) < n {
		s.t.Errorf("ended by itself after %d reports: %v", len(all), err)
	}
	return all
}

// wantStored looks for all that was reported.
func (s *shelf) wantStored(reported []intake.Outcome) {
	s.t.Helper()
	for _, o := range reported {
		if o.Result == intake.Refused {
			s.t.Fatalf("%+v", o)
		}
		c, err := file.ReadContents(o.File, "")
		if err != nil {
			s.t.Fatal(err)
		}
		keys := len(c.Identities) > 0
		if keys {
			c.Certificates = append(c.Certificates, c.Identities[0].Certificate)
		}
		found, err := s.store.Find(s.t.Context(), store.Query{Prefix: fmt.Sprintf("%x", sha256.Sum256(c.Certificates[0].Raw))})
		if err != nil || len(found) != 1 || found[0].HasKey != keys {
			s.t.Fatalf("%s was reported as %s, and the store has %v, %v", o.File, o.Result, found, err)
		}
	}
}

// TestImportLeavesTheStore gives hostile files one by one: each is refused in one
// line that says what, where and what to do, and the store stays as it was.
func TestImportLeavesTheStore(t *testing.T) {
	s := newShelf(t)
	good := testpki.Must(s.ca.Issue(testpki.Leaf{Addresses: []string{"good@example.org"}}))
	var names []string
	for i := range 10_000 {
		names = append(names, fmt.Sprintf("u%d@example.org", i))
	}
	p12 := testpki.Must(good.PKCS12("good password"))
	s.write("password", []byte("good password"))
	huge := testpki.Must(x509.MarshalPKIXPublicKey(&rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), 16383, 1), E: 65537}))
	many := testpki.Must(s.ca.Issue(testpki.Leaf{Addresses: names}))
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"truncated.p12": {p12[:len(p12)/2], "truncated"},
		"wrong.p12":     {testpki.Must(good.PKCS12("bad password")), "password is wrong"},
		"huge.cer":      {testpki.Must(s.ca.Issue(testpki.Leaf{PublicKeyInfo: huge})).Certificate.Raw, "16384 bits"},
		"many.cer":      {many.Certificate.Raw, "octets, over 65536"},
		"many.pem":      {testpki.Must(many.PEM()), "octets, over 65536"},
		"some.cer":      {testpki.Must(s.ca.Issue(testpki.Leaf{Addresses: names[:1000]})).Certificate.Raw, "1000 addresses"},
		"mixed.pem":     {append(testpki.Must(good.PEM()), many.CertificatePEM()...), "octets, over 65536"},
		"bomb.p12":      {append([]byte{0x30, 0x80, 2, 1, 3}, bytes.Repeat([]byte{0x30, 0x80}, 1<<20)...), "truncated or not well-formed"},
		"empty.pem":     {nil, "neither certificates nor an identity"},
		"big.p12":       {make([]byte, 17<<20), "over 16777216 octets"},
	} {
		s.write(name, c.data)
		stdout, _ := s.cert(exitNegative, "import", "--password-file", s.path("password"), s.path(name))
		lines := strings.Split(strings.TrimSpace(stdout), "\n")
		if len(lines) != 2 || !strings.Contains(lines[0], c.want) || !strings.Contains(lines[0], filepath.Base(name)) {
			t.Errorf("%s: %s", name, stdout)
		}
		if strings.Contains(stdout, "good password") {
			t.Errorf("%s: the password is shown", name)
		}
		if n, err := s.store.Count(t.Context(), store.Query{}); n != 0 || err != nil {
			t.Fatalf("%s left %d in the store, %v", name, n, err)
		}
	}
}
