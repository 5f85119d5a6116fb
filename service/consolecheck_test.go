package service

import (
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/console/access"
	"github.com/smimerelay/smimerelay/console/api"
)

// sentByClient names files, a program and a database in each way that a configuration can.
const sentByClient = `
hostname = "gw.example.org"
[store]
url = "postgres://gateway@%SERVER%/smimerelay?sslmode=disable"
key_file = "%DIR%/secret"
password_file = "%DIR%/secret"
[identities]
path = "%DIR%/secret"
password_file = "%DIR%/secret"
tokens = ["pkcs11:token=x?module-path=%DIR%/module.so&pin-source=file:%DIR%/secret"]
token_helper = "%DIR%/helper"
[trust]
anchors = ["%DIR%/secret"]
[[directory]]
name = "ldap"
type = "ldap"
urls = ["ldap://%SERVER%"]
bind_dn = "cn=gateway"
password_file = "%DIR%/secret"
[[directory]]
name = "files"
type = "files"
path = "%DIR%/secret"
[[enrolment]]
name = "people"
from = "command"
command = ["%DIR%/helper"]
on = "always"
addresses = ["file:%DIR%/secret"]
[[entitlement]]
user = ["mailing"]
from = ["file:%DIR%/secret"]
[[partner]]
domain = "example.net"
domain_certificate_file = "%DIR%/secret"
[[inbound_rule]]
name = "in"
on_result = "deliver"
signer = ["file:%DIR%/secret"]
[[rule]]
name = "some"
sender = ["example.org", "file:%DIR%/secret"]
recipient_group = ["file:%DIR%/secret"]
sign = "prefer"
encrypt = "prefer"
footer = "file:%DIR%/secret"
[[rule]]
name = "default"
sign = "prefer"
encrypt = "prefer"
`

// TestConsoleCheckOpensNothing: what a client sends to be checked can not have the gateway read
// files, run programs or connect to servers for it. The answer is the same whether the files
// are there or not.
func TestConsoleCheckOpensNothing(t *testing.T) {
	v := startConsole(t)
	token := v.token(access.Administrator)
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var connected []string
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := server.Accept()
			if err != nil {
				return
			}
			connected = append(connected, c.RemoteAddr().String())
			c.Close()
		}
	}()
	ran, secret := filepath.Join(v.dir, "ran"), "root:no pattern of addresses:19000:"
	check := func(dir string) string {
		t.Helper()
		text := strings.NewReplacer("%DIR%", dir, "%SERVER%", server.Addr().String()).Replace(sentByClient)
		code, answer := v.call("POST", api.Prefix+"/configuration/check", token, map[string]string{"text": text})
		if code != http.StatusOK || strings.Contains(answer, "no pattern") {
			t.Errorf("%d %s", code, answer)
		}
		return strings.ReplaceAll(answer, dir, "")
	}
	there, missing := t.TempDir(), filepath.Join(t.TempDir(), "missing")
	for name, text := range map[string]string{"secret": secret + "\n", "helper": "#!/bin/sh\ntouch " + ran + "\n", "module.so": ""} {
		if err := os.WriteFile(filepath.Join(there, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	with, without := check(there), check(missing)
	if with != without {
		t.Errorf("the answer tells whether files are there:\n%s\n%s", with, without)
	}
	if !strings.Contains(with, `"ok":true`) || !strings.Contains(with, "rule[0].sender[1]") {
		t.Error(with)
	}
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	<-done
	if _, err := os.Stat(ran); len(connected) > 0 || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("connections %q; a program was run: %v", connected, err)
	}
	entries, err := v.access.Audit(t.Context(), access.AuditQuery{Limit: 1})
	if err != nil || entries[0].Action != "configuration.check" || !strings.HasPrefix(entries[0].Object, "sha256:") {
		t.Errorf("%+v, %v", entries, err)
	}
}
