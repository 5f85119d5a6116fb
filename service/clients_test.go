package service

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/relay/userfile"
	"github.com/smimerelay/smimerelay/test/rig"
)

// submission is a service for clients that log in.
const submission = `
hostname = "gw.example.org"
domains = ["example.org"]
[queue]
path = "%DIR%/queue.db"
[store]
url = "%DIR%/store.db"
[next_hop]
address = "%HOP%"
tls = "off"
[trust]
revocation = "off"
fetch = false
[auth]
users_file = "%TLS%/users"
[[rule]]
name = "erp"
user = ["erp@example.org", "app.example.org"]
sign = "never"
encrypt = "never"
[[rule]]
name = "others"
listener = ["proxied", "named"]
sign = "never"
encrypt = "never"
[[rule]]
name = "default"
sign = "never"
encrypt = "require"
[[listener]]
name = "submission"
protocol = "smtp"
address = "127.0.0.1:0"
direction = "outbound"
auth = "tls"
tls_certificate = "%TLS%/gw.pem"
tls_key = "%TLS%/gw.pem"
client_ca = "%TLS%/ca.pem"
client_names = ["app.example.org"]
[[listener]]
name = "proxied"
protocol = "smtp"
address = "127.0.0.1:0"
networks = ["127.0.0.2/32"]
proxy = ["127.0.0.1/32"]
[[listener]]
name = "named"
protocol = "smtp"
address = "127.0.0.1:0"
networks = ["192.0.2.0/24"]
xclient = ["127.0.0.1/32"]
`

func startSubmission(t *testing.T) (*world, string) {
	t.Helper()
	ca, dir := newTLSCA(t), t.TempDir()
	for file, pair := range map[string]tls.Certificate{"gw.pem": ca.server("gw.example.org"), "app.pem": ca.client("app.example.org"), "ca.pem": {Certificate: [][]byte{ca.cert.Raw}}} {
		ca.write(filepath.Join(dir, file), pair)
	}
	if err := userfile.Add(filepath.Join(dir, "users"), "erp@example.org", "geheim"); err != nil {
		t.Fatal(err)
	}
	return startWorld(t, strings.ReplaceAll(submission, "%TLS%", dir)), dir
}

// calls numbers the messages of swaks.
var calls atomic.Int64

// swaks runs the client of that name and returns what was said, and its exit status.
func swaks(t *testing.T, address string, args ...string) (string, int) {
	t.Helper()
	host, port, _ := net.SplitHostPort(address)
	cmd := exec.CommandContext(t.Context(), "swaks", append([]string{"--server", host, "--port", port, "--from", "erp@example.org", "--to", "bob@example.net", "--ehlo", "client.example.org", "--timeout", "60",
		"--header", fmt.Sprint("Subject: ", calls.Add(1))}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatalf("swaks: %v; apt-get install swaks libnet-ssleay-perl", err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// A client logs in with a name and a password over TLS only, or shows a certificate, and may
// then send to the world; rules know the name.
func TestClientsLogIn(t *testing.T) {
	w, dir := startSubmission(t)
	plain, login := "PLAIN", "LOGIN"
	credentials := func(mechanism, password string) []string {
		return []string{"--auth", mechanism, "--auth-user", "ERP@example.org", "--auth-password", password}
	}
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"PLAIN":             {append(credentials(plain, "geheim"), "--tls"), "<~  250 2.0.0 OK"},
		"LOGIN":             {append(credentials(login, "geheim"), "--tls"), "<~  250 2.0.0 OK"},
		"wrong":             {append(credentials(plain, "falsch"), "--tls"), "<~* 535 5.7.8"},
		"without TLS":       {credentials(plain, "geheim"), "Host did not advertise authentication"},
		"without a login":   {[]string{"--tls"}, "<~* 550 5.7.1 this client may not send mail here"},
		"with certificate":  {[]string{"--tls", "--tls-cert", filepath.Join(dir, "app.pem"), "--tls-key", filepath.Join(dir, "app.pem")}, "<~  250 2.0.0 OK"},
		"and with EXTERNAL": {[]string{"--tls", "--tls-cert", filepath.Join(dir, "app.pem"), "--tls-key", filepath.Join(dir, "app.pem")}, "250-AUTH PLAIN LOGIN EXTERNAL"},
	} {
		if out, _ := swaks(t, w.address("submission"), tc.args...); !strings.Contains(out, tc.want) {
			t.Errorf("%s: no %q in\n%s", name, tc.want, out)
		}
	}
	w.hop.wait(t, 4)
	w.log.wait(t, "msg=authenticated listener=submission")
	if !strings.Contains(w.log.String(), "user=erp@example.org") || strings.Contains(w.log.String(), "geheim") {
		t.Errorf("the log lacks the user, or has the password:\n%s", w.log)
	}
}

// Postfix as a client checks the certificate, logs in, and hands over by STARTTLS.
func TestPostfixLogsIn(t *testing.T) {
	w, dir := startSubmission(t)
	_, port, _ := net.SplitHostPort(w.address("submission"))
	in, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := in.Addr().(*net.TCPAddr).Port
	in.Close()
	postfix := rig.StartPostfix(t, rig.PostfixConfig{
		Ports: []int{at}, Master: fmt.Sprintf("127.0.0.1:%d inet n - n - - smtpd\ntlsmgr unix - - n 1000? 1 tlsmgr\n", at),
		Main: fmt.Sprintf("relayhost = [127.0.0.1]:%s\nsmtp_sasl_auth_enable = yes\nsmtp_sasl_password_maps = static:erp@example.org:geheim\n"+
			"smtp_sasl_security_options = noanonymous\nsmtp_tls_security_level = secure\nsmtp_tls_secure_cert_match = gw.example.org\nsmtp_tls_CAfile = %s\nsmtp_tls_loglevel = 1\n", port, open(t, filepath.Join(dir, "ca.pem"))),
	})
	if out, code := swaks(t, fmt.Sprintf("127.0.0.1:%d", at)); code != 0 {
		t.Fatal(out)
	}
	postfix.WaitLog(t, `Verified TLS connection established`)
	postfix.WaitLog(t, `to=<bob@example.net>.*status=sent \(250 2\.0\.0 OK`)
	w.hop.wait(t, 1)
}

// open returns the path of a copy of a file that every user can read.
func open(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "smimerelay")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	copied := filepath.Join(dir, filepath.Base(path))
	if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(copied, data, 0o644)); err != nil {
		t.Fatal(err)
	}
	return copied
}

// HAProxy names its clients by both versions of the PROXY protocol: the one in the network
// may send, the other may not; and no one without the proxy.
func TestThroughHAProxy(t *testing.T) {
	w, dir := startSubmission(t)
	for _, version := range []string{"send-proxy", "send-proxy-v2"} {
		front := haproxy(t, dir, version, w.address("proxied"))
		for from, want := range map[string]string{"127.0.0.2": "<-  250 2.0.0 OK", "127.0.0.3": "<** 550 5.7.1 relaying to bob@example.net denied"} {
			if out, _ := swaks(t, front, "--local-interface", from); !strings.Contains(out, want) {
				t.Errorf("%s from %s: no %q in\n%s", version, from, want, out)
			}
		}
	}
	if out, _ := swaks(t, w.address("proxied")); !strings.Contains(out, "Remote host closed connection unexpectedly") && !strings.Contains(out, "Timeout") {
		t.Errorf("without the proxy:\n%s", out)
	}
	w.hop.wait(t, 2)
}

// haproxy runs HAProxy before a listener and returns where it listens.
func haproxy(t *testing.T, dir, version, behind string) string {
	t.Helper()
	front := freeAddress(t)
	file := filepath.Join(dir, version+".cfg")
	text := fmt.Sprintf("defaults\n mode tcp\n timeout connect 10s\n timeout client 60s\n timeout server 60s\nfrontend f\n bind %s\n default_backend b\nbackend b\n server s %s %s\n", front, behind, version)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, "haproxy", "-db", "-f", file)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatalf("haproxy: %v; apt-get install haproxy", err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(said.String())
		}
	})
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if c, err := net.Dial("tcp", front); err == nil {
			c.Close()
			return front
		}
	}
	t.Fatal("haproxy does not listen")
	return ""
}

func freeAddress(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// A proxy names its client by XCLIENT.
func TestXCLIENTOfAProxy(t *testing.T) {
	w, _ := startSubmission(t)
	for from, want := range map[string]string{"192.0.2.9": "<-  250 2.0.0 OK", "198.51.100.9": "<** 550 5.7.1 relaying to bob@example.net denied"} {
		if out, _ := swaks(t, w.address("named"), "--xclient", "ADDR="+from+" NAME=[UNAVAILABLE]"); !strings.Contains(out, want) {
			t.Errorf("from %s: no %q in\n%s", from, want, out)
		}
	}
	w.hop.wait(t, 1)
}
