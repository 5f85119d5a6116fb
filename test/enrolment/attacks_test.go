package enrolment

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs/ca"
	"github.com/smimerelay/smimerelay/certs/enrol"
	"github.com/smimerelay/smimerelay/certs/enrol/scep"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/testing/loopback"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/test/rig"
)

// attacked is a provider with all its listeners, and a folder for openssl.
type attacked struct {
	*provider
	client *http.Client
	web    string // host:port of what is published by HTTPS
}

// TestAttacks: what no client may get is refused by each listener, whatever it sends, and the gateway serves on.
func TestAttacks(t *testing.T) {
	web := loopback.FreePort(t)
	files := newTLS(t)
	a := &attacked{web: fmt.Sprintf("localhost:%d", web)}
	a.provider = openProvider(t, fmt.Sprintf("\n[[publish]]\nname = \"web\"\nto = \"https\"\naddress = \"127.0.0.1:%d\"\ntls_certificate = %q\ntls_key = %q\nrequests_per_minute = 1000\n",
		web, files.chain, files.key), web)
	a.client = a.clientWith(t)
	t.Run("EST", a.testEST)
	t.Run("SCEP", a.testSCEP)
	t.Run("OCSP", a.testOCSP)
	t.Run("HTTPS", func(t *testing.T) { a.testWeb(t, files.trusted) })
	t.Run("slow clients", a.testSlow)
}

// clientWith is an HTTP client that authenticates with certificates.
func (a *attacked) clientWith(t *testing.T, own ...tls.Certificate) *http.Client {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(testpki.Must(os.ReadFile(a.tls.trusted)))
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: own}, DisableKeepAlives: true}
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// openssl runs a command in the folder of the house, and returns what it printed.
func (a *attacked) openssl(t *testing.T, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "openssl", args...)
	cmd.Dir = a.dir
	var problems bytes.Buffer
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("openssl %s: %v: %s", args, err, problems.String())
	}
	return out
}

// csr makes a request with openssl: for names as in subjectAltName, with more extensions, by a key that genpkey makes.
func (a *attacked) csr(t *testing.T, key, names, more string, genpkey ...string) []byte {
	t.Helper()
	if len(genpkey) > 0 {
		a.openssl(t, append([]string{"genpkey", "-out", key}, genpkey...)...)
	}
	a.write(t, "req.cnf", fmt.Appendf(nil, "[req]\ndistinguished_name = dn\nreq_extensions = ext\nprompt = no\n[dn]\nO = Corp\n[ext]\nsubjectAltName = %s\n%s\n", names, more))
	return a.openssl(t, "req", "-new", "-key", key, "-config", "req.cnf", "-outform", "DER")
}

// est posts a request, and returns the status and the certificate.
func (a *attacked) est(t *testing.T, client *http.Client, operation, user, secret string, der []byte) (int, *x509.Certificate) {
	t.Helper()
	r := testpki.Must(http.NewRequestWithContext(t.Context(), http.MethodPost, a.base+"/.well-known/est/"+operation, strings.NewReader(base64.StdEncoding.EncodeToString(der))))
	r.Header.Set("Content-Type", "application/pkcs10")
	if user != "" {
		r.SetBasicAuth(user, secret)
	}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body := testpki.Must(io.ReadAll(answer.Body))
	if answer.StatusCode != http.StatusOK {
		return answer.StatusCode, nil
	}
	a.write(t, "answer.p7", testpki.Must(base64.StdEncoding.DecodeString(strings.TrimSpace(string(body)))))
	return answer.StatusCode, certificate(t, string(a.openssl(t, "pkcs7", "-inform", "DER", "-in", "answer.p7", "-print_certs")))
}

var p256 = []string{"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"}

func (a *attacked) testEST(t *testing.T) {
	const bob, mallory = "bob@corp.example", "mallory@corp.example"
	secret := a.invited(t, bob)
	good := a.csr(t, "bob.key", "email:"+bob, "", p256...)
	deep := append(bytes.Repeat([]byte{0x30, 0x80}, 20_000), make([]byte, 40)...)
	wrong := bytes.Clone(good)
	wrong[len(wrong)-3] ^= 1
	long := bytes.Clone(good)
	long[1], long[2] = 0x84, 0x7f
	rsaKey := func(bits, e string) []string {
		return []string{"-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:" + bits, "-pkeyopt", "rsa_keygen_pubexp:" + e}
	}
	for name, one := range map[string]struct {
		user, secret string
		der          []byte
		want         int
	}{
		"a wrong secret":          {bob, secret + "A", good, 401},
		"no secret":               {bob, "", good, 401},
		"the secret of another":   {mallory, secret, a.csr(t, "bob.key", "email:"+mallory, ""), 401},
		"another address":         {bob, secret, a.csr(t, "bob.key", "email:"+mallory, ""), 400},
		"another address as well": {bob, secret, a.csr(t, "bob.key", "email:"+bob+",email:"+mallory, ""), 400},
		"an address of elsewhere": {"bob@partner.example", secret, a.csr(t, "bob.key", "email:bob@partner.example", ""), 401},
		"RSA of 1024 bits":        {bob, secret, a.csr(t, "weak.key", "email:"+bob, "", rsaKey("1024", "65537")...), 400},
		"RSA with exponent 3":     {bob, secret, a.csr(t, "e.key", "email:"+bob, "", rsaKey("2048", "3")...), 400},
		"P-224":                   {bob, secret, a.csr(t, "p224.key", "email:"+bob, "", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-224"), 400},
		"secp256k1":               {bob, secret, a.csr(t, "k1.key", "email:"+bob, "", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"), 400},
		"Ed25519":                 {bob, secret, a.csr(t, "ed.key", "email:"+bob, "", "-algorithm", "ED25519"), 400},
		"a wrong signature":       {bob, secret, wrong, 400},
		"not ASN.1":               {bob, secret, []byte("hello"), 400},
		"nothing":                 {bob, secret, nil, 400},
		"a length of 2 GiB":       {bob, secret, long, 400},
		"deep ASN.1":              {bob, secret, deep, 400},
		"cut":                     {bob, secret, good[:len(good)/2], 400},
		"something behind":        {bob, secret, append(bytes.Clone(good), 0), 400},
		"too long":                {bob, secret, make([]byte, 60<<10), 413},
	} {
		if status, _ := a.est(t, a.client, "simpleenroll", one.user, one.secret, one.der); status != one.want {
			t.Errorf("%s: %d, want %d", name, status, one.want)
		}
	}
	// What else is asked for is passed over.
	greedy := a.csr(t, "bob.key", "email:"+bob+",DNS:corp.example,URI:https://corp.example,IP:127.0.0.1", "basicConstraints = critical,CA:TRUE\nkeyUsage = keyCertSign,cRLSign\nextendedKeyUsage = serverAuth,clientAuth\nnameConstraints = permitted;email:.")
	status, cert := a.est(t, a.client, "simpleenroll", bob, secret, greedy)
	if status != 200 {
		t.Fatalf("refused requests used the secret up: %d", status)
	}
	if cert.IsCA || cert.KeyUsage&(x509.KeyUsageCertSign|x509.KeyUsageCRLSign) != 0 || len(cert.DNSNames)+len(cert.URIs)+len(cert.IPAddresses) > 0 || fmt.Sprint(cert.EmailAddresses) != "["+bob+"]" ||
		fmt.Sprint(cert.ExtKeyUsage) != fmt.Sprint([]x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}) {
		t.Errorf("it was given more than an address: %+v", cert)
	}
	if status, again := a.est(t, a.client, "simpleenroll", bob, secret, greedy); status != 200 || !again.Equal(cert) {
		t.Errorf("the same request: %d", status)
	}
	if status, _ := a.est(t, a.client, "simpleenroll", bob, secret, a.csr(t, "other.key", "email:"+bob, "", p256...)); status != 401 {
		t.Errorf("the secret for another key: %d", status)
	}
	a.testRenewals(t, bob, cert)
}

// testRenewals: only the holder of a certificate that is valid renews it, with its names.
func (a *attacked) testRenewals(t *testing.T, addr string, cert *x509.Certificate) {
	t.Helper()
	keyOf := func(name string) any {
		block, _ := pem.Decode(testpki.Must(os.ReadFile(filepath.Join(a.dir, name))))
		return testpki.Must(x509.ParsePKCS8PrivateKey(block.Bytes))
	}
	holder := a.clientWith(t, tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: keyOf("bob.key")})
	self := testpki.Must(testpki.Must(testpki.NewCA(testpki.Options{})).Issue(testpki.Leaf{Addresses: []string{addr}}))
	stranger := a.clientWith(t, tls.Certificate{Certificate: [][]byte{self.Certificate.Raw}, PrivateKey: self.Key})
	renewal := func(key, names string, genpkey ...string) []byte {
		der := a.csr(t, key, names, "", genpkey...)
		a.write(t, "renewal.cnf", fmt.Appendf(nil, "[req]\ndistinguished_name = dn\nreq_extensions = ext\nprompt = no\n[dn]\nCN = %s\n[ext]\nsubjectAltName = %s\n", cert.Subject.CommonName, names))
		if len(cert.Subject.Names) != 1 {
			return der
		}
		return a.openssl(t, "req", "-new", "-key", key, "-config", "renewal.cnf", "-outform", "DER", "-utf8")
	}
	good := renewal("renewed.key", "email:"+addr, p256...)
	for name, one := range map[string]struct {
		client *http.Client
		der    []byte
		want   int
	}{
		"no certificate":             {a.client, good, 401},
		"a certificate of elsewhere": {stranger, good, 401},
		"another address":            {holder, renewal("renewed.key", "email:mallory@corp.example"), 400},
		"more names":                 {holder, renewal("renewed.key", "email:"+addr+",DNS:corp.example"), 400},
	} {
		if status, _ := a.est(t, one.client, "simplereenroll", "", "", one.der); status != one.want {
			t.Errorf("renewal, %s: %d, want %d", name, status, one.want)
		}
	}
	if status, renewed := a.est(t, holder, "simplereenroll", "", "", good); status != 200 || renewed.Equal(cert) {
		t.Errorf("renewal: %d", status)
	}
	a.Run(t, "cert", "revoke", "--reason", "key-compromise", sum(cert)[:20])
	if status, _ := a.est(t, holder, "simplereenroll", "", "", renewal("third.key", "email:"+addr, p256...)); status != 401 {
		t.Errorf("renewal by a certificate that was revoked: %d", status)
	}
	// A key that was lost is of no use for another address either.
	const carol = "carol@corp.example"
	if status, _ := a.est(t, a.client, "simpleenroll", carol, a.invited(t, carol), a.csr(t, "bob.key", "email:"+carol, "")); status != 400 {
		t.Errorf("a revoked key for another address: %d", status)
	}
}

// recorder passes SCEP on, and keeps what was posted.
type recorder struct {
	mu    sync.Mutex
	posts [][]byte
}

func (a *attacked) testSCEP(t *testing.T) {
	const dave = "dave@corp.example"
	var rec recorder
	proxy := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := testpki.Must(io.ReadAll(r.Body))
		if r.Method == http.MethodPost {
			rec.mu.Lock()
			rec.posts = append(rec.posts, body)
			rec.mu.Unlock()
		}
		status, answer, media := a.scep(t, r.Method, "?"+r.URL.RawQuery, body)
		w.Header().Set("Content-Type", media)
		w.WriteHeader(status)
		_, _ = w.Write(answer)
	}))
	t.Cleanup(proxy.Close)
	trusted := a.write(t, "proxy.pem", testpki.EncodeCertificates(proxy.Certificate()))
	client := func(secret string) *scep.Client {
		return testpki.Must(scep.NewClient(scep.ClientConfig{URL: proxy.URL, TLS: trusted, Fingerprint: sum(a.root),
			PasswordFile: a.write(t, "challenge", []byte(secret)), Clock: time.Now}))
	}
	order := func(addr string) *enrol.Order {
		return &enrol.Order{Order: store.Order{ID: "0123456789abcdef", Address: testpki.Must(address.Parse(addr)), Purpose: store.ForBoth, Key: testpki.Must(ca.GenerateKey("rsa2048"))}}
	}
	secret := a.invited(t, dave)
	first := order(dave)
	for name, begin := range map[string]func() (enrol.Answer, error){
		"a wrong challenge password": func() (enrol.Answer, error) { return client("other").Begin(t.Context(), first) },
		"another address":            func() (enrol.Answer, error) { return client(secret).Begin(t.Context(), order("mallory@corp.example")) },
	} {
		if _, err := begin(); err == nil || !strings.Contains(err.Error(), "challenge password") {
			t.Errorf("%s: %v", name, err)
		}
	}
	rec.posts = nil
	if _, err := client(secret).Begin(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	genuine := rec.posts[0]
	if _, err := client(secret).Begin(t.Context(), order(dave)); err == nil {
		t.Error("the challenge password was used for two keys")
	}
	for range 3 { // what was recorded is of use to no one
		if status, _, _ := a.scep(t, http.MethodPost, "?operation=PKIOperation", genuine); status != 200 {
			t.Errorf("the same message: %d", status)
		}
	}
	random := rand.New(rand.NewPCG(1, 2)) // a failure is repeated
	for range 200 {
		forged := bytes.Clone(genuine)
		forged[random.IntN(len(forged))] ^= byte(1 + random.IntN(255))
		if status, _, _ := a.scep(t, http.MethodPost, "?operation=PKIOperation", forged); status != 200 && status != 400 {
			t.Errorf("a changed message: %d", status)
		}
	}
	for name, one := range map[string]struct {
		method, query string
		body          []byte
		want          int
	}{
		"nothing":           {http.MethodPost, "?operation=PKIOperation", nil, 400},
		"a length of 2 GiB": {http.MethodPost, "?operation=PKIOperation", []byte("\x30\x84\x7f\xff\xff\xff\x06\x09"), 400},
		"deep":              {http.MethodPost, "?operation=PKIOperation", bytes.Repeat([]byte{0x30, 0x80}, 20_000), 400},
		"too long":          {http.MethodPost, "?operation=PKIOperation", make([]byte, 70<<10), 413},
		"by GET":            {http.MethodGet, "?operation=PKIOperation&message=%21%21", nil, 400},
		"no operation":      {http.MethodGet, "", nil, 400},
		"another one":       {http.MethodGet, "?operation=GetNextCACert", nil, 400},
	} {
		if status, _, _ := a.scep(t, one.method, one.query, one.body); status != one.want {
			t.Errorf("%s: %d, want %d", name, status, one.want)
		}
	}
	if list := a.Run(t, "cert", "list", "--origin", "issued"); strings.Count(list, dave) != 1 || strings.Contains(list, "mallory") {
		t.Errorf("issued are\n%s", list)
	}
}

// scep makes one request.
func (a *attacked) scep(t *testing.T, method, query string, body []byte) (status int, text []byte, media string) {
	t.Helper()
	r := testpki.Must(http.NewRequestWithContext(t.Context(), method, a.base+"/scep"+query, bytes.NewReader(body)))
	answer, err := a.client.Do(r)
	if err != nil {
		t.Error(err)
		return 0, nil, ""
	}
	defer answer.Body.Close()
	return answer.StatusCode, testpki.Must(io.ReadAll(answer.Body)), answer.Header.Get("Content-Type")
}

func (a *attacked) testOCSP(t *testing.T) {
	const erin = "erin@corp.example"
	status, cert := a.est(t, a.client, "simpleenroll", erin, a.invited(t, erin), a.csr(t, "erin.key", "email:"+erin, "", p256...))
	if status != 200 {
		t.Fatal(status)
	}
	a.write(t, "issuing.pem", []byte(a.Run(t, "ca", "export", "--issuing")))
	a.write(t, "root.pem", testpki.EncodeCertificates(a.root))
	a.write(t, "erin.pem", testpki.EncodeCertificates(cert))
	ask := func(want string) {
		t.Helper()
		out := string(a.openssl(t, "ocsp", "-issuer", "issuing.pem", "-cert", "erin.pem", "-url", cert.OCSPServer[0], "-CAfile", "root.pem", "-verify_other", "issuing.pem"))
		if !strings.Contains(out, "erin.pem: "+want) {
			t.Errorf("openssl ocsp: %s", out)
		}
	}
	if len(cert.OCSPServer) == 0 {
		t.Fatal("the certificate names no responder")
	}
	ask("good")
	for name, body := range map[string][]byte{"nothing": nil, "text": []byte("hello"), "2 GiB": []byte("\x30\x84\x7f\xff\xff\xff"), "deep": bytes.Repeat([]byte{0x30, 0x80}, 2_000), "too long": make([]byte, 1<<20)} {
		answer, err := http.Post(cert.OCSPServer[0], "application/ocsp-request", bytes.NewReader(body)) //nolint:noctx // of a test
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		text := testpki.Must(io.ReadAll(answer.Body))
		answer.Body.Close()
		// RFC 6960 section 4.2.1: malformedRequest, if anything.
		if answer.StatusCode == 200 && !bytes.Equal(text, []byte{0x30, 3, 0x0a, 1, 1}) {
			t.Errorf("%s: %d, %x", name, answer.StatusCode, text)
		}
	}
	a.Run(t, "cert", "revoke", "--reason", "key-compromise", sum(cert)[:20])
	ask("revoked")
}

// testWeb: there is one question, for one address.
func (a *attacked) testWeb(t *testing.T, trusted string) {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(testpki.Must(os.ReadFile(trusted)))
	ask := func(line string) string {
		conn, err := tls.DialWithDialer(&net.Dialer{Timeout: rig.Patience}, "tcp", a.web, &tls.Config{RootCAs: pool, ServerName: "localhost"})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, _ = fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", line)
		text, _ := io.ReadAll(conn)
		_, status, _ := strings.Cut(string(text), " ")
		return status[:min(3, len(status))]
	}
	const path = "/.well-known/smime-certificates"
	for line, want := range map[string]string{
		"GET " + path + "?address=absent%40corp.example": "404", "HEAD " + path + "?address=absent%40corp.example": "404",
		"GET " + path + "?address=bob%40partner.example": "404",
		"GET " + path: "400", "GET " + path + "?address=": "400", "GET " + path + "?address=*": "400", "GET " + path + "?address=%40corp.example": "400",
		"GET " + path + "?address=a%40corp.example&address=b%40corp.example": "400", "GET " + path + "?address=a%00%40corp.example": "400",
		"GET " + path + "?address=a%40corp.example%0d%0aX%3a+y": "400", "GET " + path + "?ADDRESS=a%40corp.example": "400",
		"GET " + path + "/": "404", "GET " + path + "/../../etc/passwd": "404", "GET /..%2f..%2fetc/passwd": "404", "GET /": "404", "GET /.well-known/": "404",
		"POST " + path + "?address=absent%40corp.example": "405", "GET http://localhost" + path + "?address=absent%40corp.example": "404",
	} {
		got := ask(line)
		if got != want && !(want == "404" && (got == "301" || got == "307")) {
			t.Errorf("%s: %s, want %s", line, got, want)
		}
	}
}

// testSlow: clients who connect and say nothing keep no others out.
func (a *attacked) testSlow(t *testing.T) {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(rig.Stranger)}}
	for _, addr := range []string{strings.TrimPrefix(a.base, "https://"), a.web} {
		for range 60 {
			ctx, cancel := context.WithTimeout(t.Context(), rig.Patience)
			conn, err := dialer.DialContext(ctx, "tcp", strings.Replace(addr, "localhost", "127.0.0.1", 1))
			cancel()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { conn.Close() })
			_, _ = conn.Write([]byte{0x16, 3, 1}) // it may be closed already
		}
	}
	if status, _, _ := a.scep(t, http.MethodGet, "?operation=GetCACaps", nil); status != 200 {
		t.Errorf("another client of EST: %d", status)
	}
	a.WaitLog(t, "serving", 1)
}
