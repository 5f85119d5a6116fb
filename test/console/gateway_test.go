package console

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/smtp"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	builtin "github.com/smimerelay/smimerelay/certs/ca"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/console/access"
	"github.com/smimerelay/smimerelay/history"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/service"
	"github.com/smimerelay/smimerelay/smime/address"
)

// configuration is that of a gateway whose next hop is down: what it does not hold stays in
// its queue.
const configuration = `
hostname = "gw.example.org"
domains = ["example.org"]
[console]
address = "127.0.0.1:0"
path = "%DIR%/console.db"
[queue]
path = "%DIR%/queue.db"
[store]
url = "%DIR%/store.db"
key_file = "%DIR%/store.key"
[ca]
url = "http://pki.example.org/smime/"
folder = "%DIR%/published"
[next_hop]
address = "unix:%DIR%/hop"
tls = "off"
[[listener]]
name = "out"
protocol = "smtp"
address = "127.0.0.1:0"
direction = "outbound"
networks = ["127.0.0.0/8"]
[[rule]]
name = "partners"
recipient = ["example.net"]
sign = "never"
encrypt = "require"
no_certificate = "hold"
[[rule]]
name = "default"
sign = "prefer"
encrypt = "prefer"
[[partner]]
domain = "partner.example"
signers = ["dns:gateway.partner.example"]
contact = "postmaster@partner.example"
note = "agreed by telephone"
[trust]
anchors = ["ca.pem"]
revocation = "off"
fetch = false
`

const (
	administrator = "alice"
	operator      = "oscar"
	viewer        = "victor"
	careful       = "trudy" // who has one-time codes of totpSecret
	totpSecret    = "JBSWY3DPEHPK3PXP"
	password      = "correct horse battery"
	patience      = time.Minute
)

// longAddress is about as long as addresses are.
const longAddress = "first.middle.and-a-very-long-last-name+department-of-procurement@mail.subsidiary.of.a-company-with-a-long-name.example"

// gateway is a gateway that runs in this process, with something to show.
type gateway struct {
	dir, url    string
	fingerprint string // of a certificate
	upload      []byte // a certificate that is not in the store
	log         *logText
}

// logText is the log so far.
type logText struct {
	mu   sync.Mutex
	text strings.Builder
	more chan struct{}
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case l.more <- struct{}{}:
	default:
	}
	return l.text.Write(p)
}

// after waits for a text in the log and returns the rest of its line.
func (l *logText) after(t *testing.T, words string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		l.mu.Lock()
		_, rest, found := strings.Cut(l.text.String(), words)
		l.mu.Unlock()
		if line, _, whole := strings.Cut(rest, "\n"); found && whole {
			return line
		}
		select {
		case <-l.more:
		case <-ctx.Done():
			t.Fatalf("no %q in the log:\n%s", words, l.text.String())
		}
	}
}

func startGateway(t *testing.T) *gateway {
	t.Helper()
	return startGatewayWith(t, func(_, configuration string) string { return configuration })
}

// startGatewayWith starts one with another configuration, whose files are in dir.
func startGatewayWith(t *testing.T, change func(dir, configuration string) string) *gateway {
	t.Helper()
	g := &gateway{dir: t.TempDir(), log: &logText{more: make(chan struct{}, 1)}}
	ca := testpki.Must(testpki.NewCA(testpki.Options{Name: "Example Root CA"}))
	g.must(t, os.WriteFile(filepath.Join(g.dir, "ca.pem"), testpki.EncodeCertificates(ca.Certificate), 0o600))
	g.must(t, os.WriteFile(filepath.Join(g.dir, "config.toml"), []byte(change(g.dir, strings.ReplaceAll(configuration, "%DIR%", g.dir))), 0o600))
	g.must(t, os.Mkdir(filepath.Join(g.dir, "published"), 0o700))
	key, err := store.CreateKey(filepath.Join(g.dir, "store.key"))
	g.must(t, err)
	signals, ended := make(chan os.Signal, 1), make(chan error, 1)
	go func() {
		ended <- service.Run(context.Background(), service.Options{
			Path: filepath.Join(g.dir, "config.toml"), Stderr: g.log, Clock: time.Now, Version: "test", Signals: signals,
		})
	}()
	t.Cleanup(func() {
		signals <- syscall.SIGTERM
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	g.log.after(t, "msg=serving")
	listen := func(name string) string {
		_, rest, _ := strings.Cut(g.log.after(t, "msg=listening listener="+name+" "), "listen=")
		return strings.Fields(rest)[0]
	}
	g.url = "http://" + listen("[console]")
	g.accounts(t)
	g.certificates(t, key, ca)
	g.past(t)
	g.mail(t, listen("out"))
	return g
}

func (g *gateway) must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (g *gateway) accounts(t *testing.T) {
	a, err := access.Open(t.Context(), access.Config{Path: filepath.Join(g.dir, "console.db")})
	g.must(t, err)
	by := access.Actor{Name: "root", Via: "command line"}
	for name, role := range map[string]access.Role{administrator: access.Administrator, operator: access.Operator, viewer: access.Viewer, careful: access.Viewer} {
		g.must(t, a.AddUser(t.Context(), by, name, role, password))
	}
	g.must(t, errors.Join(a.SetTOTP(t.Context(), by, careful, totpSecret), a.Close()))
}

// certificates has some in the store, of long names too, and the built-in CA.
func (g *gateway) certificates(t *testing.T, key []byte, ca *testpki.CA) {
	s, err := store.Open(t.Context(), store.Config{URL: filepath.Join(g.dir, "store.db"), Key: key})
	g.must(t, err)
	for i, name := range []string{"carol@example.com", "dave@example.com", "erin@partner.example", longAddress} {
		leaf := testpki.Leaf{Addresses: []string{name}, NotAfter: time.Now().AddDate(0, 3*i+1, 0)}
		if name == longAddress {
			leaf.Name = strings.Repeat("Department of Long Names and Titles, ", 5)
		}
		id := testpki.Must(ca.Issue(leaf))
		_, err := s.Put(t.Context(), store.Harvested, store.New{Certificate: id.Certificate})
		g.must(t, err)
		if i == 0 {
			g.fingerprint = fmt.Sprintf("%x", sha256.Sum256(id.Certificate.Raw))
		}
	}
	g.upload = testpki.EncodeCertificates(testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{"grace@example.com"}})).Certificate)
	pair, err := builtin.Create(builtin.Plan{Organization: "Example", Country: "DE", URL: "http://pki.example.org/smime/", Key: "p256"})
	g.must(t, err)
	g.must(t, s.Issued(t.Context(), pair.Issuing.Certificate))
	_, err = s.PutIdentity(t.Context(), store.Authority, pair.Root, pair.Issuing)
	g.must(t, errors.Join(err, s.Close()))
}

// file writes one to upload.
func (g *gateway) file(t *testing.T, name, text string) string {
	path := filepath.Join(g.dir, name)
	g.must(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// past writes a day of messages that were.
func (g *gateway) past(t *testing.T) {
	h, err := history.Open(t.Context(), history.Place{Path: filepath.Join(g.dir, "history.db")})
	g.must(t, err)
	now := time.Now()
	var rows []history.Row
	for hour := range 24 {
		for i := range 3 + (hour*7)%11 {
			r := history.Row{
				Time: now.Add(-time.Duration(hour)*time.Hour - time.Duration(i)*time.Minute), ID: fmt.Sprintf("made-up-%d-%d", hour, i), Listener: "out", Client: "192.0.2.7",
				MessageID: fmt.Sprintf("%d.%d@example.org", hour, i), Direction: "outbound", Rule: "default", Line: 31, Size: 4096, Outcome: history.Delivered, Protection: "signed, encrypted", Cipher: "aes-256-gcm",
				Sender: g.address(t, "alice@example.org"), Recipient: g.address(t, "carol@example.com"),
				Events: []history.Event{{Time: now.Add(-time.Duration(hour) * time.Hour), Kind: history.Attempt, Attempt: 1, Host: "mx.example.com", Reply: "250 2.0.0 Ok: queued"}},
			}
			switch i % 6 {
			case 3:
				r.Outcome, r.Protection, r.Reason, r.Cause = history.Refused, "", "no certificate for the recipient", "certificate"
			case 5:
				r.Recipient, r.Outcome, r.Protection = g.address(t, longAddress), history.Failed, ""
				r.Reason = "permanent failure: 550 5.1.1 <" + longAddress + ">: Recipient address rejected: User unknown in virtual mailbox table; see https://postmaster.example/explanations/of/replies?code=5.1.1"
			case 4:
				r.Outcome, r.Protection = history.Deferred, "signed"
			}
			rows = append(rows, r)
		}
	}
	_, err = h.Write(t.Context(), history.Batch{Rows: rows})
	g.must(t, errors.Join(err, h.Close()))
}

func (g *gateway) address(t *testing.T, text string) address.Address {
	a, err := address.Parse(text)
	g.must(t, err)
	return a
}

// mail sends messages that are held, and some that stay in the queue.
func (g *gateway) mail(t *testing.T, server string) {
	for _, to := range []string{"bob@example.net", "frank@example.net", "heidi@example.net", "ivan@example.net", "judy@example.net", "mallory@example.net", "carol@example.com", "dave@example.com", longAddress} {
		text := "From: alice@example.org\r\nTo: " + to + "\r\nSubject: x\r\n\r\nHello.\r\n"
		g.must(t, smtp.SendMail(server, nil, "alice@example.org", []string{to}, []byte(text)))
	}
}
