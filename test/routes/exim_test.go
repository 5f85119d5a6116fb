package routes

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/loopback"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/relay/userfile"
	"github.com/smimerelay/smimerelay/test/peer"
	"github.com/smimerelay/smimerelay/test/rig"
)

// eximClient sends all mail to the gateway, by TLS with the right certificate and a
// password, or keeps it.
const eximClient = `primary_hostname = client.test
tls_advertise_hosts =
acl_smtp_rcpt = accept
remote_max_parallel = 1
begin routers
gateway:
  driver = manualroute
  transport = gateway
  route_data = 127.0.0.1
  self = send
begin transports
gateway:
  driver = smtp
  port = GATEWAY
  hosts_require_tls = *
  hosts_require_auth = *
  tls_verify_certificates = CERT
  tls_verify_hosts = *
begin retry
* * F,1h,1m
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  client_send = ^erp@example.org^geheim
`

// eximDelivery is what an Exim has behind its ACLs that keeps all mail in a folder.
const eximDelivery = `begin routers
kept:
  driver = accept
  transport = kept
begin transports
kept:
  driver = appendfile
  directory = DIR/mail
  maildir_format
  create_directory
  envelope_to_add
begin retry
* * F,1h,1m
`

// eximHost is a smart host that wants a password by TLS; it keeps mail in a folder. It
// refuses one recipient, and defers another.
const eximHost = `primary_hostname = host.test
tls_certificate = CERT
tls_privatekey = KEY
tls_advertise_hosts = *
auth_advertise_hosts = ${if eq{$tls_in_cipher}{}{}{*}}
acl_smtp_rcpt = rcpt
begin acl
rcpt:
  deny !authenticated = *
  deny local_parts = absent
       message = there is no such mailbox
  defer local_parts = full
       message = the mailbox is full
  accept
` + eximDelivery + `begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${if and{{eq{$auth2}{gateway}}{eq{$auth3}{the pass word}}}}
  server_set_id = $auth2
`

// TestExim: an Exim logs in to the gateway and hands over mail by BDAT; the gateway signs
// it, logs in to another Exim and hands it over in the same way. That one takes it for one recipient, refuses it for a
// second and defers it for a third. What arrives verifies, and arrives once.
func TestExim(t *testing.T) {
	dir, sink := shared(t), rig.StartSink(t)
	cert, key := certificate(t, dir)
	for _, path := range []string{cert, key} {
		if err := os.Chmod(path, 0o644); err != nil { // Exim reads it as its own user
			t.Fatal(err)
		}
	}
	in, listen, out := loopback.FreePort(t), loopback.FreePort(t), loopback.FreePort(t)
	fill := strings.NewReplacer("CERT", cert, "KEY", key, "GATEWAY", fmt.Sprint(listen))
	host := rig.StartExim(t, fill.Replace(eximHost), out)
	client := rig.StartExim(t, fill.Replace(eximClient), in)

	ca := testpki.Must(testpki.NewCA(testpki.Options{Name: "Root"}))
	alice := testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{"alice@example.org"}}))
	for name, text := range map[string][]byte{"root.pem": testpki.EncodeCertificates(ca.Root), "alice.pem": testpki.Must(alice.PEM()), "secret": []byte("the pass word\n")} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := userfile.Add(filepath.Join(dir, "users"), "erp@example.org", "geheim"); err != nil {
		t.Fatal(err)
	}
	g := rig.StartGateway(t, program, strings.NewReplacer("DIR", dir, "CERT", cert, "KEY", key, "LISTEN", fmt.Sprint(listen), "OUT", fmt.Sprint(out), "SINK", sink.Addr()).Replace(`hostname = "gw.example.org"
domains = ["example.org"]
[trust]
anchors = ["DIR/root.pem"]
revocation = "off"
fetch = false
[identities]
path = "DIR/alice.pem"
[auth]
users_file = "DIR/users"
[next_hop]
address = "SINK"
[[listener]]
name = "submission"
protocol = "smtp"
address = "127.0.0.1:LISTEN"
direction = "outbound"
auth = "tls"
tls_certificate = "CERT"
tls_key = "KEY"
[[rule]]
name = "erp"
user = ["erp@example.org"]
sign = "require"
encrypt = "never"
[[rule]]
name = "default"
sign = "never"
encrypt = "require"
[[route]]
name = "exim"
recipient = ["example.net"]
to = ["127.0.0.1:OUT"]
tls = "require"
ca = "CERT"
auth = "plain"
user = "gateway"
secret_file = "DIR/secret"
`), listen)

	body := ".first\r\n..second\r\n.\r\nthird\r\n" + strings.Repeat(strings.Repeat("0123456789", 7)+"\r\n", 3000) + "\r\n.\r\n"
	text := "From: alice@example.org\r\nTo: bob@example.net\r\nMessage-ID: <1@example.org>\r\nDate: Mon, 5 Jan 2026 10:00:00 +0000\r\nSubject: by way of Exim\r\nContent-Type: text/plain\r\n\r\n" + body
	c := rig.Dial(t, fmt.Sprintf("127.0.0.1:%d", in), "127.0.0.1")
	to := []string{"bob@example.net", "absent@example.net", "full@example.net", "bob%example.com@example.org"}
	if tx := c.Send("alice@example.org", to, []byte(text)); !tx.Data.Positive() {
		t.Fatalf("%+v", tx)
	}
	until(t, "mail of bob", func() bool { return len(host.Mail(t)) == 1 })
	got := host.Mail(t)[0]
	if !bytes.HasPrefix(got, []byte("Envelope-to: bob@example.net\n")) {
		t.Errorf("for another: %.600s", got)
	}
	content, err := peer.NewOpenSSL(t, ca).Verify(bytes.ReplaceAll(got, []byte("\n"), []byte("\r\n")))
	if err != nil {
		t.Fatalf("the signature: %v\n%.1500s", err, got)
	}
	if _, inner, _ := bytes.Cut(content, []byte("\r\n\r\n")); !bytes.Equal(inner, []byte(body)) {
		t.Errorf("%d octets are signed, of %d", len(inner), len(body))
	}
	report := sink.Wait(t, "the report on absent", func(d rig.Delivery) bool { return strings.Contains(string(d.Data), "absent@example.net") })
	if s := string(report.Data); report.From != "" || !strings.Contains(s, "Status: 5.0.0\r\n") || !strings.Contains(s, "said: 550 there is no such mailbox") || !strings.Contains(s, "Diagnostic-Code: smtp; 550 there is no such mailbox") || strings.Contains(s, "Final-Recipient: rfc822;bob") {
		t.Errorf("report %s", s)
	}
	g.WaitLog(t, "the mailbox is full", 1)
	// "K" is CHUNKING, "A=" the login, "CV=yes" a certificate that was verified.
	client.WaitLog(t, `** bob%example.com@example.org`)
	for _, want := range []string{"=> bob@example.net", " CV=yes A=plain K C=\"250 2.0.0 OK", "550 5.1.3"} {
		if log := client.Log(t); !strings.Contains(log, want) {
			t.Errorf("no %q in the log of the client:\n%s", want, log)
		}
	}
	if log := host.Log(t); !strings.Contains(log, "A=plain:gateway") || !strings.Contains(log, "esmtpsa") || !strings.Contains(log, " K S=") {
		t.Errorf("the host logged\n%s", log)
	}
	if n := len(host.Mail(t)); n != 1 {
		t.Errorf("%d messages for one", n)
	}
}
