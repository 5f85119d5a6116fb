package service

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/internal/testing/configtest"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// TestExposed wants a warning for what others can read on this machine or on the network,
// and for what the service cannot read.
func TestExposed(t *testing.T) {
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	id := testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{"a@corp.example"}}))
	dir := t.TempDir()
	write := func(name string, content []byte, mode fs.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	certificate := write("tls.pem", testpki.EncodeCertificates(id.Certificate), 0o600)
	key, open := write("key", []byte("secret\n"), 0o640), write("open", []byte("secret\n"), 0o644)
	listener := func(key string) string {
		return fmt.Sprintf("[[listener]]\nname = \"in\"\nprotocol = \"smtp\"\naddress = \"127.0.0.1:0\"\ndirection = \"inbound\"\ntls_certificate = %q\ntls_key = %q\n", certificate, key)
	}
	directory := func(server, password string, startTLS bool) string {
		return fmt.Sprintf("[[directory]]\nname = \"d\"\ntype = \"ldap\"\nurls = [%q]\nbase = \"dc=x\"\nbind_dn = \"cn=a\"\npassword_file = %q\nstart_tls = %t\n", server, password, startTLS)
	}
	plain := "directory[0].urls[0]: the password of bind_dn goes to"
	for name, c := range map[string]struct {
		text   string
		years  int // from now
		reader *reader
		want   string // "": no warning
	}{
		"nothing":                 {text: listener(key) + directory("ldaps://dc.corp.example", key, false)},
		"open key":                {text: listener(open), want: `listener[0].tls_key: "` + open + `" can be read by every user`},
		"open password":           {text: directory("ldaps://dc.corp.example", open, false), want: `directory[0].password_file: "` + open + `" can be read by every user`},
		"open identities":         {text: fmt.Sprintf("[identities]\npath = %q\n", dir), want: `identities.path: "` + open + `" can be read by every user`},
		"expired":                 {text: listener(key), years: 50, want: "listener[0].tls_certificate: the certificate expired on"},
		"not yet valid":           {text: listener(key), years: -50, want: "listener[0].tls_certificate: the certificate is not valid before"},
		"plain PostgreSQL":        {text: "[store]\nurl = \"postgres://a@db.corp.example/x\"\n", want: "store.url: the connection to the database may be without TLS"},
		"PostgreSQL with TLS":     {text: "[store]\nurl = \"postgres://a@db.corp.example/x?sslmode=verify-full\"\n"},
		"PostgreSQL by a socket":  {text: "[store]\nurl = \"postgres://a@/x?host=/run/postgresql\"\n"},
		"plain LDAP":              {text: directory("ldap://dc.corp.example", key, false), want: plain},
		"plain LDAP by its port":  {text: directory("dc.corp.example:389", key, false), want: plain},
		"StartTLS":                {text: directory("ldap://dc.corp.example", key, true)},
		"bare host":               {text: directory("dc.corp.example", key, false)},
		"loopback":                {text: directory("ldap://127.0.0.1:389", key, false)},
		"loopback by name":        {text: directory("ldap://localhost", key, false)},
		"read by the service":     {text: listener(key), reader: &reader{user: os.Getuid()}},
		"store of another user":   {reader: &reader{user: os.Getuid() + 1}, want: `store.url: "` + dir + `" cannot be written by the user smimerelay`},
		"not read by the service": {text: listener(key), reader: &reader{user: os.Getuid() + 1}, want: `listener[0].tls_certificate: "` + certificate + `" cannot be read by the user smimerelay`},
	} {
		t.Run(name, func(t *testing.T) {
			parsed, _ := config.Parse(filepath.Join(dir, "config.toml"), []byte(configtest.Elsewhere(c.text, dir)))
			got := exposed(parsed, time.Now().AddDate(c.years, 0, 0), c.reader).Error()
			if c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("warned of %q instead of %q", got, c.want)
			}
		})
	}
}

// TestUnreadableConfiguration: the file of the service, and its folder, are of use to its user.
func TestUnreadableConfiguration(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "config.toml")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c, _ := config.Parse(path, nil)
	stranger, owner := &reader{user: os.Getuid() + 1}, &reader{user: os.Getuid()}
	for _, step := range []struct {
		folder, file os.FileMode
		want         string
	}{{0o711, 0o600, `"` + path + `" cannot be read`}, {0o711, 0o604, ""}, {0o700, 0o604, `"` + dir + `" cannot be read`}} {
		if err := errors.Join(os.Chmod(dir, step.folder), os.Chmod(path, step.file)); err != nil {
			t.Fatal(err)
		}
		got := stranger.unreadable(c).Error()
		if step.want == "" && got != "" || !strings.Contains(got, step.want) || got != "" && !strings.Contains(got, "; chgrp smimerelay ") {
			t.Errorf("%o %o: %q", step.folder, step.file, got)
		}
		if ws := owner.unreadable(c); len(ws) > 0 {
			t.Errorf("of its own user: %v", ws)
		}
	}
}

// TestServiceReader: only root's check of the file that the units name is held to the user
// of the service.
func TestServiceReader(t *testing.T) {
	own, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	file := func(path string) *config.Config {
		c, _ := config.Parse(path, nil)
		return c
	}
	another := file(filepath.Join(t.TempDir(), "config.toml"))
	if serviceReader(another, 0, own.Username) != nil || serviceReader(file(config.File), 1, own.Username) != nil {
		t.Error("a file that is not the service's, or a check by a user, is held to it")
	}
	if r := serviceReader(file(config.File), 0, own.Username); r == nil || r.user != os.Getuid() {
		t.Errorf("the service's file is held to %+v", r)
	}
}

// TestReaderReads compares with the rule of the kernel: the first of owner, group and
// others that applies decides.
func TestReaderReads(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	user, group := os.Getuid(), os.Getgid()
	for _, c := range []struct {
		mode fs.FileMode
		r    reader
		want bool
	}{
		{0o600, reader{user: user}, true},
		{0o600, reader{user: user + 1, groups: []int{group}}, false},
		{0o640, reader{user: user + 1, groups: []int{group}}, true},
		{0o640, reader{user: user + 1, groups: []int{group + 1}}, false},
		{0o604, reader{user: user + 1, groups: []int{group + 1}}, true},
		{0o604, reader{user: user + 1, groups: []int{group}}, false},
	} {
		if err := os.Chmod(file, c.mode); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.r.reads(info); got != c.want {
			t.Errorf("%v reads a file with mode %o: %t", c.r, c.mode, got)
		}
	}
}
