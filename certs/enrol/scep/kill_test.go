package scep

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/enrol"
	"github.com/smimerelay/smimerelay/certs/file"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/testing/killtest"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/cms"
)

func TestMain(m *testing.M) { killtest.Main(m, gateway) }

// settings are what a gateway knows of its server.
type settings struct{ URL, CA, RA, Password string }

// gateway orders from a server.
func gateway(g *killtest.Gateway) error {
	var s settings
	if err := json.Unmarshal([]byte(g.Settings), &s); err != nil {
		return err
	}
	client, err := NewClient(ClientConfig{URL: s.URL, Fingerprint: s.CA, RAFingerprint: s.RA, PasswordFile: s.Password, Clock: time.Now})
	if err != nil {
		return err
	}
	return g.Order(g.Enroller(enrol.Enrolment{Key: "rsa2048", Provider: client, Origin: store.Imported}, nil))
}

// countingCA is a CA that clients enrol at with a challenge password.
type countingCA struct {
	*killtest.CA
	ra *certs.Identity
}

func (d *countingCA) RA(context.Context) (*certs.Identity, []*x509.Certificate, error) {
	return d.ra, []*x509.Certificate{d.Certificate}, nil
}

func (d *countingCA) Keys(context.Context, cms.ID) ([]*certs.Identity, error) {
	return []*certs.Identity{d.ra}, nil
}

func (d *countingCA) Enroll(_ context.Context, r Request) (*x509.Certificate, error) {
	if r.Challenge != "secret" {
		return nil, ErrUnauthorized
	}
	return d.Certify(r.CSR)
}

// TestKilled: whenever the gateway is killed, the next one goes on with the same key and
// transaction, so that a server that knows the transaction or the key issues once, also one that is asked
// with CertPoll. From one that knows neither, a client could not get what it issued.
func TestKilled(t *testing.T) {
	type kind struct{ forgets, pending bool }
	for name, one := range map[string]kind{
		"a server that knows keys":    {},
		"a server that lets it wait":  {pending: true},
		"a server that knows nothing": {forgets: true},
	} {
		for place, least := range map[killtest.Place]int{killtest.InGateway: 8, killtest.AtCA: 4} {
			if place == killtest.InGateway && one != (kind{}) {
				continue // its steps are the same
			}
			t.Run(name+", at the "+string(place), func(t *testing.T) {
				killtest.Each(t, place, least, func(t *testing.T, d *killtest.Death) {
					ca := &countingCA{CA: killtest.NewCA()}
					ca.Forgets = one.forgets
					ca.ra = (*certs.Identity)(testpki.Must(ca.CA.CA.Issue(testpki.Leaf{Addresses: []string{"ra@example.com"}, Key: "rsa2048"})))
					var handler http.Handler = &Server{Log: killtest.Log, CA: func() (CA, func(), error) { return ca, func() {}, nil }}
					if one.pending {
						handler = &undecided{Handler: handler, ca: ca, asked: map[string]*x509.CertificateRequest{}}
					}
					server := httptest.NewServer(d.Handler(handler))
					t.Cleanup(server.Close)
					password := filepath.Join(d.Dir, "password")
					if err := os.WriteFile(password, []byte("secret\n"), 0o600); err != nil {
						t.Fatal(err)
					}
					ca.Run(t, d, string(testpki.Must(json.Marshal(settings{
						server.URL + Path, fingerprintOf(ca.Certificate), fingerprintOf(ca.ra.Certificate), password}))), killtest.Expect{Again: one.forgets})
				})
			})
		}
	}
}

// undecided is a server that lets each request wait, and issues when it is asked again.
type undecided struct {
	http.Handler
	ca    *countingCA
	asked map[string]*x509.CertificateRequest // by transaction
}

func (u *undecided) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		u.Handler.ServeHTTP(w, r)
		return
	}
	by, _ := asParty(u.ca.ra)
	m := testpki.Must(parse(testpki.Must(io.ReadAll(r.Body)), nil))
	answer := &message{kind: certRep, transaction: m.transaction, sender: newNonce(), recipient: m.sender, status: pending}
	if m.kind == certPoll {
		cert := testpki.Must(u.ca.Certify(u.asked[m.transaction]))
		answer.status = success
		answer.content = testpki.Must(seal(testpki.Must(file.EncodeBundle([]*x509.Certificate{cert})), m.signer))
	} else {
		u.asked[m.transaction] = testpki.Must(x509.ParseCertificateRequest(testpki.Must(m.open(by))))
	}
	w.Header().Set("Content-Type", typeMessage)
	_, _ = w.Write(testpki.Must(answer.encode(by)))
}
