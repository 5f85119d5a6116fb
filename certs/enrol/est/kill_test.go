package est_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/enrol"
	"github.com/smimerelay/smimerelay/certs/enrol/est"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/testing/killtest"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

func TestMain(m *testing.M) { killtest.Main(m, gateway) }

// gateway orders from a server, of which the settings are a ClientConfig.
func gateway(g *killtest.Gateway) error {
	var config est.ClientConfig
	if err := json.Unmarshal([]byte(g.Settings), &config); err != nil {
		return err
	}
	client, err := est.NewClient(config)
	if err != nil {
		return err
	}
	return g.Order(g.Enroller(enrol.Enrolment{Key: "p256", Provider: client, Origin: store.Imported}, nil))
}

// authority is a CA that clients enrol at with a password.
type authority struct{ *killtest.CA }

func (a authority) CACerts(context.Context) ([]*x509.Certificate, error) {
	return []*x509.Certificate{a.Certificate}, nil
}

func (a authority) Enroll(_ context.Context, r est.Request) (*x509.Certificate, error) {
	if r.User != killtest.Address || r.Secret != "secret" {
		return nil, est.ErrUnauthorized
	}
	return a.Certify(r.CSR)
}

func (a authority) ServerKey(context.Context, est.Request) (*certs.Identity, error) {
	return a.Identity()
}

// TestKilled: whenever the gateway is killed, the next one goes on with the same key. A server that
// knows the key issues once, also if it takes its time; EST has no operation by which a client could
// find what one issued that does not.
func TestKilled(t *testing.T) {
	type kind struct{ forgets, slow, serverKey bool }
	for name, one := range map[string]kind{
		"a server that knows keys":     {},
		"a server that takes its time": {slow: true},
		"a server that knows no key":   {forgets: true},
		"a server that makes the keys": {forgets: true, serverKey: true},
	} {
		for place, least := range map[killtest.Place]int{killtest.InGateway: 8, killtest.AtCA: 4} {
			if place == killtest.InGateway && one != (kind{}) {
				continue // its steps are the same
			}
			t.Run(name+", at the "+string(place), func(t *testing.T) {
				killtest.Each(t, place, least, func(t *testing.T, d *killtest.Death) {
					ca := killtest.NewCA()
					ca.Forgets = one.forgets
					handler := (&est.Server{Log: killtest.Log, CA: func() (est.CA, func(), error) { return authority{ca}, func() {}, nil }}).Handler()
					if one.slow {
						handler = slow(handler)
					}
					config := serve(t, d, handler)
					config.ServerKey = one.serverKey
					ca.Run(t, d, string(testpki.Must(json.Marshal(config))), killtest.Expect{Again: one.forgets, OtherKeys: one.serverKey})
				})
			})
		}
	}
}

// slow answers the first request for a certificate with 202.
func slow(h http.Handler) http.Handler {
	var asked atomic.Bool
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/simpleenroll") && !asked.Swap(true) {
			w.Header().Set("Retry-After", "60")
			w.WriteHeader(http.StatusAccepted)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// serve has the requests that a handler serves be where the gateway dies.
func serve(t *testing.T, d *killtest.Death, h http.Handler) est.ClientConfig {
	t.Helper()
	server := httptest.NewUnstartedServer(d.Handler(h))
	server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	server.StartTLS()
	t.Cleanup(server.Close)
	c := est.ClientConfig{URL: server.URL + "/.well-known/est", User: killtest.Address,
		CA: filepath.Join(d.Dir, "tls.pem"), PasswordFile: filepath.Join(d.Dir, "password")}
	for name, content := range map[string][]byte{c.CA: testpki.EncodeCertificates(server.Certificate()), c.PasswordFile: []byte("secret\n")} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return c
}
