// Package oracle holds no code: its test plays an attacker who has captured a
// ciphertext in CBC mode and sends it again, changed, by every listener, and
// compares what comes back (Vaudenay, "Security Flaws Induced by CBC Padding",
// EUROCRYPT 2002). The next hop is the worst that is allowed: it reports all that it
// is asked for, quotes what it sees in its refusals, and refuses after it has taken.
package oracle

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/path"
	"github.com/smimerelay/smimerelay/directory"
	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/relay/gateway"
	"github.com/smimerelay/smimerelay/relay/returnpath"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/message"

	"context"
)

const (
	attacker = "mallory@evil.example"
	alice    = "alice@own.example"
	hidden   = "hidden-subject"
)

// guesses are the messages of one round: one in 256 has right padding, and one is
// the ciphertext as it was captured.
const guesses = 640

// TestNoClientLearnsTheTextFromWhatComesBack sends 10,240 messages.
func TestNoClientLearnsTheTextFromWhatComesBack(t *testing.T) {
	attack(t, nil)
}

// TestNoClientLearnsTheTextFromInboundRules is the same where rules reject, or keep in
// quarantine, what cannot be decrypted, or all that can: 30,720 messages.
func TestNoClientLearnsTheTextFromInboundRules(t *testing.T) {
	for name, rule := range map[string]enforce.InboundRule{
		"reject what does not open":   {Name: "closed", Result: []string{"permerror"}, OnResult: "reject"},
		"quarantine all that does":    {Name: "opened", ExceptResult: []string{"permerror"}, OnResult: "quarantine"},
		"reject all that is unsigned": {Name: "unsigned", Signed: "no", OnResult: "reject"},
	} {
		t.Run(name, func(t *testing.T) {
			attack(t, testpki.Must(enforce.CompileInbound([]enforce.InboundRule{rule})))
		})
	}
}

// attack plays the attack by every listener, with every habit of the next hop.
func attack(t *testing.T, policy *enforce.InboundPolicy) {
	for _, listener := range []string{"smtp", "lmtp", "milter", "milter without envelope edits"} {
		for _, habit := range []habit{reports, refuses, returns, defers} {
			t.Run(fmt.Sprintf("%s/%s", listener, habit), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, listener, habit, policy)
				captured := w.captured()
				views := map[string]int{}
				for n := range guesses {
					views[w.outside(w.attempt(captured.guess(n)))]++
				}
				if len(views) != 1 {
					t.Errorf("the attacker sees %d different things:\n%s", len(views), strings.Join(slices.Collect(keys(views)), "\n-----\n"))
				}
				for view := range views {
					for _, secret := range []string{hidden, "X-SMIME", "the plain text"} {
						if strings.Contains(view, secret) {
							t.Errorf("the attacker sees %q:\n%s", secret, view)
						}
					}
				}
				if policy == nil && (w.hop.opened < 2 || w.hop.opened > guesses/100 || w.hop.closed < guesses/2) {
					t.Errorf("%d messages were decrypted, %d were not: the attack did not take place", w.hop.opened, w.hop.closed)
				}
				if policy != nil && w.hop.kept < 2 {
					t.Errorf("%d messages are in quarantine: the attack did not take place", w.hop.kept)
				}
			})
		}
	}
}

func keys(m map[string]int) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// world is a gateway behind one listener, with a next hop behind it.
type world struct {
	t        *testing.T
	gateway  *gateway.Gateway
	hop      *hop
	listener listener
	cert     *x509.Certificate
}

// listener passes a message to the gateway and returns what the client hears.
type listener interface {
	send(from, to, mailArgs, rcptArgs string, msg []byte) []string
}

type emptyDirectory struct{}

func (emptyDirectory) Remembers(address.Address) bool { return true }

func (emptyDirectory) Lookup(context.Context, address.Address) directory.Result {
	return directory.Result{Outcome: directory.None}
}

func newWorld(t *testing.T, name string, h habit, policy *enforce.InboundPolicy) *world {
	t.Helper()
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	id := (*certs.Identity)(testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{alice}})))
	w := &world{t: t, cert: id.Certificate}
	w.gateway = testpki.Must(gateway.New(gateway.Config{
		Hostname: "gw.own.example", Domains: []string{"own.example"},
		Listeners: []gateway.Listener{{Name: "in", Direction: "inbound", Relay: name == "smtp", Networks: []netip.Prefix{}}},
		Policy:    testpki.Must(enforce.Compile([]enforce.Rule{{Name: "default", Sign: "never", Encrypt: "never"}})),
		Directory: emptyDirectory{}, Keys: certs.NewKeys(time.Now, id),
		Checker: testpki.Must(path.NewValidator(path.Config{Anchors: []*x509.Certificate{ca.Root}, Revocation: certs.RevocationOff})),
		Inbound: gateway.Inbound{Verify: true, Decrypt: true}, InboundPolicy: policy,
		ReturnPath: testpki.Must(returnpath.New(bytes.Repeat([]byte{7}, returnpath.KeySize), "gw.own.example")),
		Clock:      func() time.Time { return time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC) },
		Log:        slog.New(slog.DiscardHandler),
	}))
	t.Cleanup(w.gateway.Close)
	w.hop = &hop{t: t, gateway: w.gateway, habit: h}
	w.listener = newListener(w, name)
	return w
}

// attempt sends a message as the attacker, lets everything happen that follows from
// it, and returns what reaches the outside.
func (w *world) attempt(msg []byte) []string {
	w.hop.outside, w.hop.returned = nil, nil
	seen := w.listener.send(attacker, alice, "RET=FULL ENVID=E1", "NOTIFY=SUCCESS,FAILURE,DELAY", msg)
	for len(w.hop.returned) > 0 {
		r := w.hop.returned[0]
		w.hop.returned = w.hop.returned[1:]
		for _, answer := range w.listener.send("", r.to, "", "", r.msg) {
			if !strings.HasPrefix(answer, "2") {
				w.t.Fatalf("the gateway refuses what it sent: %s", answer)
			}
		}
	}
	return append(seen, w.hop.outside...)
}

// unique is what differs in each message whatever it is about.
var unique = regexp.MustCompile(`report-[A-Z2-7]+|<[A-Z2-7]{26}@|\((id )?[A-Z0-9]{16}\)|queued as [A-Z0-9]+`)

// outside is what the attacker sees, without what is unique.
func (w *world) outside(seen []string) string {
	return unique.ReplaceAllString(strings.Join(seen, "\n"), "*")
}

// captured is a ciphertext for alice.
type captured struct {
	header, object []byte
}

func (w *world) captured() captured {
	w.t.Helper()
	plain := parse(w.t, "From: bob@partner.example\r\nTo: "+alice+"\r\nSubject: "+hidden+"\r\n\r\nthe plain text, and some more of it\r\n")
	m := testpki.Must(smime.Encrypt(plain, []*x509.Certificate{w.cert}, smime.EncryptOptions{Cipher: "aes-128-cbc", Headers: smime.HeadersCipher}))
	header := "From: mallory@evil.example\r\nTo: alice@own.example\r\nSubject: outer\r\nDate: Sun, 29 Nov 2026 10:00:00 +0000\r\nMessage-ID: <m@evil.example>\r\n" +
		"MIME-Version: 1.0\r\nContent-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\r\nContent-Transfer-Encoding: base64\r\n\r\n"
	return captured{[]byte(header), testpki.Must(m.Root().Decode())}
}

// guess is the ciphertext with the last octets of the block before the last changed:
// the padding is right for one guess in 256. The first guess changes nothing.
func (c captured) guess(n int) []byte {
	object := bytes.Clone(c.object)
	object[len(object)-17] ^= byte(n)
	object[len(object)-18] ^= byte(n >> 8 * 0x55)
	return append(bytes.Clone(c.header), testpki.Base64(object)...)
}

func parse(t *testing.T, s string) *message.Message {
	t.Helper()
	return testpki.Must(message.Parse([]byte(s)))
}
