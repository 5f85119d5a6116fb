package command

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/ca"
	"github.com/smimerelay/smimerelay/certs/enrol"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/address"
)

func order(t *testing.T) *enrol.Order {
	t.Helper()
	return &enrol.Order{Order: store.Order{
		ID: "0123456789abcdef", Address: testpki.Must(address.Parse("alice@example.com")), Purpose: store.ForBoth,
		Key: testpki.Must(ca.GenerateKey("p256")), Reference: []byte("ref 7"),
	}}
}

// script is a provider that runs a shell script in a folder of its own.
func script(t *testing.T, text string) (*Provider, string) {
	t.Helper()
	folder := t.TempDir()
	path := filepath.Join(folder, "order")
	if err := os.WriteFile(path, []byte("#!/bin/sh\ncd "+folder+"\n"+text), 0o700); err != nil {
		t.Fatal(err)
	}
	return &Provider{Argv: []string{path, "--account", "7"}, Name: "corp"}, folder
}

// TestWithOpenSSL: the request is one that openssl reads and certifies, and the answer is
// the certificate of the key.
func TestWithOpenSSL(t *testing.T) {
	p, folder := script(t, `cat > request.json
sed 's/.*"csr":"\([^"]*\)".*/\1/; s/\\n/\
/g' request.json > request.pem
openssl req -in request.pem -noout -verify -text > request.txt 2>&1 || exit 3
openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -subj /CN=Test -days 30 2>/dev/null
openssl x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -copy_extensions copy -days 20 2>/dev/null
cat ca.pem
`)
	o := order(t)
	o.Current = (*certs.Identity)(testpki.Must(testpki.Must(testpki.NewCA(testpki.Options{})).Issue(testpki.Leaf{Addresses: []string{"alice@example.com"}})))
	a, err := p.Begin(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Certificates) != 2 {
		t.Fatalf("%d certificates", len(a.Certificates))
	}
	id := certs.Identity{Certificate: a.Certificates[0], Key: o.Key}
	if err := id.Check(); err != nil || !certs.Signs(id.Certificate) || certs.Addresses(id.Certificate)[0].String() != "alice@example.com" {
		t.Errorf("%v, %v", err, certs.Addresses(id.Certificate))
	}
	var got map[string]any
	if err := json.Unmarshal(testpki.Must(os.ReadFile(filepath.Join(folder, "request.json"))), &got); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]any{
		"version": 1.0, "action": "begin", "enrolment": "corp", "order": o.ID, "address": "alice@example.com", "purpose": "both", "reference": "ref 7",
	} {
		if got[key] != want {
			t.Errorf("%s is %v", key, got[key])
		}
	}
	if block, _ := pem.Decode([]byte(fmt.Sprint(got["current"]))); block == nil || string(block.Bytes) != string(o.Current.Certificate.Raw) {
		t.Error("the certificate that is replaced is missing")
	}
	text := string(testpki.Must(os.ReadFile(filepath.Join(folder, "request.txt"))))
	for _, want := range []string{"email:alice@example.com", "Digital Signature, Key Agreement", "E-mail Protection", "verify OK"} {
		if !strings.Contains(text, want) {
			t.Errorf("the request lacks %q: %s", want, text)
		}
	}
}

func TestAnswers(t *testing.T) {
	for text, want := range map[string]enrol.Answer{
		`exit 0`: {},
		`echo '{"retry_after": 90, "reference": "ref 8"}'`: {After: 90 * time.Second, Reference: []byte("ref 8")},
	} {
		p, _ := script(t, "cat > /dev/null\n"+text)
		a, err := p.Continue(t.Context(), order(t))
		if err != nil || a.After != want.After || string(a.Reference) != string(want.Reference) || len(a.Certificates) > 0 {
			t.Errorf("%s: %+v, %v", text, a, err)
		}
	}
}

// TestFailures: exit status 1 is a refusal; all else is tried again.
func TestFailures(t *testing.T) {
	for text, want := range map[string]struct {
		says    string
		refused bool
	}{
		`echo no such  employee >&2; exit 1`: {"refused: no such employee", true},
		`echo busy >&2; exit 75`:             {"exit status 75: busy", false},
		`echo hello`:                         {"neither JSON nor a certificate", false},
		`echo '{"certificate": "x"}'`:        {"unknown field", false},
		`echo '{"certificates": ["x"]}'`:     {"neither JSON nor a certificate", false},
		`printf -- '-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n'`: {"not CERTIFICATE", false},
		`head -c 2000000 /dev/zero`: {"more than", false},
		`kill -9 $$`:                {"killed", false},
	} {
		p, _ := script(t, "cat > /dev/null\n"+text)
		_, err := p.Begin(t.Context(), order(t))
		refused := new(enrol.Refusal)
		if err == nil || !strings.Contains(err.Error(), want.says) || errors.As(err, &refused) != want.refused {
			t.Errorf("%s: %v", text, err)
		}
	}
	p := &Provider{Argv: []string{filepath.Join(t.TempDir(), "missing")}}
	if _, err := p.Begin(t.Context(), order(t)); err == nil {
		t.Error("a missing program")
	}
}

// TestTimeout: a program that hangs, and one that leaves a child that hangs, end with the
// time that they have.
func TestTimeout(t *testing.T) {
	p, folder := script(t, "echo > started\nexec tail -f /dev/null")
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for {
			if _, err := os.Stat(filepath.Join(folder, "started")); err == nil {
				cancel()
				return
			}
		}
	}()
	if _, err := p.Begin(ctx, order(t)); err == nil || !strings.Contains(err.Error(), "did not end in time") {
		t.Error(err)
	}
}

func TestRevoke(t *testing.T) {
	p, folder := script(t, "cat > request.json")
	c := testpki.Must(testpki.Must(testpki.NewCA(testpki.Options{})).Issue(testpki.Leaf{Addresses: []string{"alice@example.com"}})).Certificate
	if err := p.Revoke(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	var got request
	if err := json.Unmarshal(testpki.Must(os.ReadFile(filepath.Join(folder, "request.json"))), &got); err != nil {
		t.Fatal(err)
	}
	if got.Action != "revoke" || got.Certificate != certificatePEM(c) || len(got.SHA256) != 64 {
		t.Errorf("%+v", got)
	}
}

// restCA answers what the example of a program expects of a CA with a REST interface.
type restCA struct {
	t      *testing.T
	orders map[string]string // requests by number
	status string
	chain  string
	auth   string
}

func (c *restCA) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.auth = r.Header.Get("Authorization")
	number := strings.TrimPrefix(r.URL.Path, "/orders/")
	switch r.Method {
	case http.MethodPut:
		var got struct{ Email, CSR string }
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil || got.Email != "alice@example.com" {
			c.t.Errorf("%+v, %v", got, err)
		}
		c.orders[number] = got.CSR
	case http.MethodGet:
		if c.orders[number] == "" {
			c.t.Errorf("no order %q", number)
		}
		c.t.Logf("order %s is %s", number, c.status)
		_ = json.NewEncoder(w).Encode(map[string]string{"status": c.status, "chain": c.chain, "reason": "not an employee"})
	case http.MethodPost:
		c.orders[r.URL.Path] = "revoked"
	}
}

// TestRecipe runs the example of the manual against a server.
func TestRecipe(t *testing.T) {
	c := &restCA{t: t, orders: map[string]string{}, status: "pending"}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(`header = "Authorization: Bearer secret"`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("ORDER_URL", server.URL)
	t.Setenv("ORDER_TOKEN", token)
	p := &Provider{Argv: []string{testpki.Must(filepath.Abs("../../../docs/recipes/order-certificate"))}, Name: "corp"}
	o := order(t)
	a, err := p.Begin(t.Context(), o)
	if err != nil || a.After != 5*time.Minute || c.auth != "Bearer secret" {
		t.Fatalf("%+v, %v, %q", a, err, c.auth)
	}
	id := testpki.Must(testpki.Must(testpki.NewCA(testpki.Options{})).Issue(testpki.Leaf{Addresses: []string{"alice@example.com"}, PrivateKey: o.Key}))
	c.status, c.chain = "issued", certificatePEM(id.Certificate)
	if a, err = p.Continue(t.Context(), o); err != nil || len(a.Certificates) != 1 || len(c.orders) != 1 {
		t.Errorf("%+v, %v", a, err)
	}
	if err := p.Revoke(t.Context(), id.Certificate); err != nil || c.orders["/revocations"] == "" {
		t.Error(err)
	}
	c.status = "rejected"
	refused := new(enrol.Refusal)
	if _, err = p.Continue(t.Context(), o); !errors.As(err, &refused) || !strings.Contains(err.Error(), "not an employee") {
		t.Error(err)
	}
	server.Close()
	other := new(enrol.Refusal)
	if _, err = p.Continue(t.Context(), o); err == nil || errors.As(err, &other) {
		t.Errorf("the CA is away: %v", err)
	}
}
