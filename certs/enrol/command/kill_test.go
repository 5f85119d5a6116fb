package command

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/smimerelay/smimerelay/certs/enrol"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/testing/killtest"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

func TestMain(m *testing.M) { killtest.Main(m, gateway) }

// gateway orders by the example of the manual; the settings are the URL of the CA.
func gateway(g *killtest.Gateway) error {
	program, err := filepath.Abs("../../../docs/recipes/order-certificate")
	if err != nil {
		return err
	}
	if err := os.Setenv("ORDER_URL", g.Settings); err != nil {
		return err
	}
	if err := os.Setenv("ORDER_TOKEN", os.DevNull); err != nil {
		return err
	}
	p := &Provider{Argv: []string{program}, Name: killtest.Table}
	return g.Order(g.Enroller(enrol.Enrolment{Key: "p256", Provider: p, Origin: store.Imported}, nil))
}

// numbered is a CA whose orders have the number that the client gives them: it issues for each
// once, when it is asked for the second time.
type numbered struct {
	*killtest.CA
	mu     sync.Mutex
	orders map[string]*numberedOrder
}

type numberedOrder struct {
	csr   *x509.CertificateRequest
	asked int
	chain string
}

func (n *numbered) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	defer n.mu.Unlock()
	number := strings.TrimPrefix(r.URL.Path, "/orders/")
	o := n.orders[number]
	if r.Method == http.MethodPut {
		var got struct{ CSR string }
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
			http.Error(w, "not JSON", http.StatusBadRequest)
			return
		}
		if o == nil {
			block, _ := pem.Decode([]byte(got.CSR))
			n.orders[number] = &numberedOrder{csr: testpki.Must(x509.ParseCertificateRequest(block.Bytes))}
		}
		return
	}
	if o.asked++; o.asked == 2 {
		o.chain = certificatePEM(testpki.Must(n.Certify(o.csr)))
	}
	status := "pending"
	if o.chain != "" {
		status = "issued"
	}
	_ = json.NewEncoder(w).Encode(map[string]string{"status": status, "chain": o.chain})
}

// TestKilled: whenever the gateway is killed, the next one goes on with the same key and number
// of the order, so that the CA issues once, whatever its program did when it lost the gateway.
func TestKilled(t *testing.T) {
	for place, least := range map[killtest.Place]int{killtest.InGateway: 10, killtest.AtCA: 8} {
		t.Run(string(place), func(t *testing.T) {
			killtest.Each(t, place, least, func(t *testing.T, d *killtest.Death) {
				ca := killtest.NewCA()
				ca.Forgets = true // it goes by the number
				server := httptest.NewServer(d.Handler(&numbered{CA: ca, orders: map[string]*numberedOrder{}}))
				t.Cleanup(server.Close)
				ca.Run(t, d, server.URL, killtest.Expect{})
			})
		})
	}
}
