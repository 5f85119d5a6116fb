// Package routes tries the routes of the gateway with real servers: Dovecot takes mail by
// LMTP and answers for SASL, Postfix is the smart host that asks for a password, and Exim
// stands at both ends.
package routes

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/testing/loopback"
	"github.com/smimerelay/smimerelay/test/rig"
)

// dovecotConf is an instance with folders of its own. Users are those of a file.
const dovecotConf = `protocols = lmtp
base_dir = DIR/run
state_dir = DIR/state
log_path = DIR/dovecot.log
ssl = no
mail_location = maildir:DIR/mail/%u
first_valid_uid = 1
auth_mechanisms = plain login xoauth2
passdb {
  driver = oauth2
  mechanisms = xoauth2
  args = DIR/oauth2.conf
}
passdb {
  driver = passwd-file
  args = scheme=PLAIN DIR/users
}
userdb {
  driver = static
  args = uid=UID gid=GID home=DIR/mail/%u
}
service auth {
  unix_listener DIR/auth {
    mode = 0666
  }
}
service lmtp {
  unix_listener DIR/lmtp {
    mode = 0666
  }
}
service stats {
  client_limit = 100
}
`

// startDovecot runs Dovecot until the test ends and returns its folder.
func startDovecot(t *testing.T) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("Dovecot needs root: run the tests as root (make test)")
	}
	dir := shared(t)
	owner, err := user.Lookup("dovecot")
	if err != nil {
		t.Fatal(err)
	}
	conf := strings.NewReplacer("DIR", dir, "UID", owner.Uid, "GID", owner.Gid).Replace(dovecotConf)
	users := "alice@example.org:{PLAIN}a\nbob@example.org:{PLAIN}b\ngateway:{PLAIN}the pass word\n"
	oauth2 := "introspection_mode = local\nlocal_validation_key_dict = fs:posix:prefix=" + dir + "/keys/\nusername_attribute = email\n"
	if err := os.MkdirAll(filepath.Join(dir, "keys/default/HS256"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"dovecot.conf": conf, "users": users, "oauth2.conf": oauth2,
		"keys/default/HS256/default": base64.StdEncoding.EncodeToString([]byte(tokenKey)),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "mail"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "mail"), 0o777); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(rig.Tool(t, "dovecot", "dovecot-lmtpd"), "-F", "-c", filepath.Join(dir, "dovecot.conf"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); cmd.Wait() }()
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		<-ended
	})
	until(t, "Dovecot", func() bool {
		c, err := net.Dial("unix", filepath.Join(dir, "lmtp"))
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return dir
}

// shared makes a folder that servers can reach as other users: those of testing are closed
// for them, and the path of a socket must be short.
func shared(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "routes")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	return dir
}

// tokenKey is what tokens of OAuth 2.0 are signed with.
const tokenKey = "a key that Dovecot checks tokens by"

// token is a bearer token (RFC 7519) for a user.
func token(user string, until time.Time) string {
	part := base64.RawURLEncoding.EncodeToString
	text := part([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." +
		part(fmt.Appendf(nil, `{"sub":%q,"email":%q,"iat":%d,"exp":%d}`, user, user, until.Add(-2*time.Hour).Unix(), until.Unix()))
	mac := hmac.New(sha256.New, []byte(tokenKey))
	mac.Write([]byte(text))
	return text + "." + part(mac.Sum(nil))
}

// until waits for what another process brings about.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(rig.Patience)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("waiting for %s", what)
		}
	}
}

// certificate writes a certificate for 127.0.0.1, which is its own authority, and its key.
func certificate(t *testing.T, dir string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "smart host"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: raw}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// TestRealServers: mail to the local domain goes to Dovecot by LMTP, each recipient with
// a result of their own; other mail goes to a Postfix that wants a password, or a token, over
// TLS.
func TestRealServers(t *testing.T) {
	dovecot, sink := startDovecot(t), rig.StartSink(t)
	cert, key := certificate(t, dovecot)
	port, smart, implicit := loopback.FreePort(t), loopback.FreePort(t), loopback.FreePort(t)
	rig.StartPostfix(t, rig.PostfixConfig{
		Ports: []int{smart, implicit},
		Main: fmt.Sprintf("mynetworks =\nsmtpd_relay_restrictions = permit_sasl_authenticated, reject\nrelayhost = %s\n"+
			"smtpd_sasl_auth_enable = yes\nsmtpd_sasl_type = dovecot\nsmtpd_sasl_path = %s/auth\nsmtpd_tls_auth_only = yes\n"+
			"smtpd_tls_cert_file = %s\nsmtpd_tls_key_file = %s\nsmtpd_tls_security_level = may\nsmtp_tls_security_level = none\n",
			bracketed(sink.Addr()), dovecot, cert, key),
		Master: fmt.Sprintf("tlsmgr unix - - n 1000? 1 tlsmgr\n127.0.0.1:%d inet n - n - - smtpd\n127.0.0.1:%d inet n - n - - smtpd\n  -o smtpd_tls_wrappermode=yes\n", smart, implicit),
	})
	secret, wrong := filepath.Join(dovecot, "secret"), filepath.Join(dovecot, "wrong")
	fresh, stale := filepath.Join(dovecot, "fresh"), filepath.Join(dovecot, "stale")
	for path, text := range map[string]string{
		secret: "the pass word\n", wrong: "another\n", fresh: token("gateway", time.Now().Add(time.Hour)) + "\n", stale: token("gateway", time.Now().Add(-time.Hour)) + "\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	host := fmt.Sprintf("tls = \"require\"\nca = %q\nuser = \"gateway\"\n", cert)
	g := rig.StartGateway(t, program, passing(port)+fmt.Sprintf(`[[route]]
name = "dovecot"
recipient = ["example.org"]
to = ["unix:%[1]s/lmtp"]
protocol = "lmtp"
tls = "off"
[[route]]
name = "login"
recipient = ["login.example.net"]
to = ["127.0.0.1:1", "127.0.0.1:%[2]d"]
auth = "login"
secret_file = %[4]q
%[6]s
[[route]]
name = "wrong"
recipient = ["wrong.example.net"]
to = ["127.0.0.1:%[2]d"]
auth = "plain"
secret_file = %[5]q
%[6]s
[[route]]
name = "token"
recipient = ["token.example.net"]
to = ["127.0.0.1:%[2]d"]
auth = "xoauth2"
token_command = ["cat", %[7]q]
%[6]s
[[route]]
name = "stale"
recipient = ["stale.example.net"]
to = ["127.0.0.1:%[2]d"]
auth = "xoauth2"
secret_file = %[8]q
%[6]s
[[route]]
name = "smarthost"
to = ["127.0.0.1:%[3]d"]
implicit_tls = true
auth = "plain"
secret_file = %[4]q
%[6]s
`, dovecot, smart, implicit, secret, wrong, host, fresh, stale), port)
	c := rig.Dial(t, fmt.Sprintf("127.0.0.1:%d", port), "127.0.0.1")
	send := func(id string, to ...string) {
		t.Helper()
		text := fmt.Sprintf("From: carol@example.org\r\nTo: x@example.net\r\nMessage-ID: <%s@example.org>\r\nSubject: %s\r\n\r\n.dot\r\nText of %s\r\n", id, id, id)
		if tx := c.Send("carol@away.example.net", to, []byte(text)); !tx.Data.Positive() {
			t.Fatalf("%s: %+v", id, tx)
		}
	}
	send("local", "alice@example.org", "bob@example.org", "absent@example.org")
	for _, name := range []string{"alice", "bob"} {
		until(t, "mail of "+name, func() bool { return len(mailOf(t, dovecot, name)) == 1 })
		if got := mailOf(t, dovecot, name)[0]; !strings.Contains(got, "\n.dot\n") || !strings.Contains(got, "Text of local") {
			t.Errorf("%s got %s", name, got)
		}
	}
	report := sink.Wait(t, "the report on absent", func(d rig.Delivery) bool { return d.From == "" })
	if text := string(report.Data); !strings.Contains(text, "absent@example.org") || !strings.Contains(text, "Status: 5.1.1") || strings.Contains(text, "Final-Recipient: rfc822;alice") {
		t.Errorf("report %s", text)
	}
	send("away", "x@example.net")
	send("login", "x@login.example.net")
	send("token", "x@token.example.net")
	for _, id := range []string{"away", "login", "token"} {
		sink.Wait(t, id, func(d rig.Delivery) bool { return strings.Contains(string(d.Data), "Text of "+id) })
	}
	send("wrong", "x@wrong.example.net")
	g.WaitLog(t, "recipient=x@wrong.example.net error=", 1)
	send("stale", "x@stale.example.net")
	g.WaitLog(t, "recipient=x@stale.example.net error=", 1)
	if log := g.Log(); strings.Count(log, "authentication failed") != 2 {
		t.Errorf("not two logins failed:\n%s", log)
	}
	if log := g.Log(); strings.Contains(log, "Bearer") || strings.Contains(log, ".eyJ") || strings.Contains(log, "the pass word") || strings.Contains(log, "another\n") {
		t.Error("a password is in the log")
	}
	for _, d := range sink.All() {
		if strings.Contains(string(d.Data), "Text of wrong") || strings.Contains(string(d.Data), "Text of stale") {
			t.Error("mail came with a wrong password or a token that has expired")
		}
	}
}

func bracketed(address string) string {
	host, port, _ := net.SplitHostPort(address)
	return "[" + host + "]:" + port
}

// mailOf returns what is in a mailbox.
func mailOf(t *testing.T, dovecot, name string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dovecot, "mail", name+"@example.org", "new", "*"))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(text))
	}
	return all
}
