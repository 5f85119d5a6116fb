package acmetest

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"time"

	pki "github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

var (
	errNonce   = errors.New("badNonce")
	errAccount = errors.New("accountDoesNotExist")
)

// problem is RFC 7807.
type problem struct {
	Type   string `json:"type"`
	Detail string `json:"detail,omitempty"`
	Status int    `json:"status"`
}

func failed(kind, detail string) (int, any) {
	return http.StatusForbidden, problem{"urn:ietf:params:acme:error:" + kind, detail, http.StatusForbidden}
}

func (s *Server) nonce(w http.ResponseWriter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.freshNonce(w)
}

func (s *Server) freshNonce(w http.ResponseWriter) {
	n := random()
	s.nonces[n] = true
	w.Header().Set("Replay-Nonce", n)
}

func (s *Server) directory(w http.ResponseWriter, _ *http.Request) {
	meta := map[string]any{}
	if s.Terms != "" {
		meta["termsOfService"] = s.Terms
	}
	if len(s.EAB) > 0 {
		meta["externalAccountRequired"] = true
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"newNonce": s.at("nonce", ""), "newAccount": s.at("new-account", ""), "newOrder": s.at("new-order", ""),
		"revokeCert": s.at("revoke", ""), "keyChange": s.at("key-change", ""), "meta": meta,
	})
}

// serve does one operation.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, operation string, do func(*call) (int, any)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests[operation]++
	c, err := s.read(r)
	s.freshNonce(w)
	code, body := 0, any(nil)
	switch {
	case errors.Is(err, errNonce), errors.Is(err, errAccount):
		_, body = failed(err.Error(), "")
		code = http.StatusBadRequest
	case err != nil:
		s.tb.Errorf("ACME request to %s: %v", r.URL.Path, err)
		code, body = failed("malformed", err.Error())
	case s.refuse[operation] != "":
		code, body = failed(s.refuse[operation], "by the test")
	default:
		c.w = w
		code, body = do(c)
	}
	if s.Done != nil {
		s.Done(operation)
	}
	kind := "application/json"
	if code >= 400 {
		kind = "application/problem+json"
	}
	if c != nil && c.raw != nil {
		kind = "application/pem-certificate-chain"
	}
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(code)
	if c != nil && c.raw != nil {
		_, _ = w.Write(c.raw)
		return
	}
	_ = json.NewEncoder(w).Encode(body)
}

func (s *Server) newAccount(c *call) (int, any) {
	var in struct {
		OnlyReturnExisting, TermsOfServiceAgreed bool
		ExternalAccountBinding                   json.RawMessage
	}
	if err := json.Unmarshal(c.payload, &in); err != nil || c.account != nil {
		return failed("malformed", "no key, or no JSON")
	}
	for url, a := range s.accounts {
		if a.print == c.print {
			c.w.Header().Set("Location", url)
			return http.StatusOK, map[string]any{"status": "valid"}
		}
	}
	switch {
	case in.OnlyReturnExisting:
		return failed("accountDoesNotExist", "")
	case s.Terms != "" && !in.TermsOfServiceAgreed:
		return failed("userActionRequired", "terms")
	case len(s.EAB) > 0 && !s.bound(in.ExternalAccountBinding, c.key):
		return failed("externalAccountRequired", "")
	}
	a := &account{url: s.at("account", random()), print: c.print, key: c.key}
	s.accounts[a.url] = a
	c.w.Header().Set("Location", a.url)
	return http.StatusCreated, map[string]any{"status": "valid"}
}

type identifier struct {
	Type  string `json:"type"`
	Value string `json:"value"`
}

func (s *Server) newOrder(c *call) (int, any) {
	var in struct{ Identifiers []identifier }
	if err := json.Unmarshal(c.payload, &in); err != nil || c.account == nil || len(in.Identifiers) != 1 || in.Identifiers[0].Type != "email" {
		return failed("unsupportedIdentifier", "one address, please")
	}
	o := &order{id: random(), address: in.Identifiers[0].Value, status: "pending", challenge: "pending", account: c.account,
		token1: random(), token2: random(), slow: s.Slow}
	s.orders[o.id] = o
	if !s.OnRequest {
		s.mail(o)
	}
	c.w.Header().Set("Location", s.at("order", o.id))
	return http.StatusCreated, s.orderBody(o)
}

func (s *Server) orderBody(o *order) any {
	body := map[string]any{
		"status": o.status, "identifiers": []identifier{{"email", o.address}},
		"authorizations": []string{s.at("authorization", o.id)}, "finalize": s.at("finalize", o.id),
	}
	if o.status == "valid" {
		body["certificate"] = s.at("certificate", o.id)
	}
	if o.problem != "" {
		body["error"] = problem{Type: "urn:ietf:params:acme:error:" + o.problem}
	}
	return body
}

// mine is the order of a call.
func (s *Server) mine(c *call) *order {
	if o := s.orders[c.id]; o != nil && o.account == c.account {
		return o
	}
	return nil
}

func noSuch() (int, any) {
	return http.StatusNotFound, problem{"urn:ietf:params:acme:error:malformed", "no such thing", http.StatusNotFound}
}

func (s *Server) showOrder(c *call) (int, any) {
	o := s.mine(c)
	if o == nil {
		return noSuch()
	}
	body := s.orderBody(o)
	if o.status == "processing" {
		if o.slow--; o.slow <= 0 {
			o.status = "valid"
		}
	}
	return http.StatusOK, body
}

func (s *Server) challengeBody(o *order) map[string]any {
	body := map[string]any{"type": "email-reply-00", "url": s.at("challenge", o.id), "status": o.challenge, "token": o.token2, "from": s.From}
	if o.challenge == "invalid" {
		body["error"] = problem{Type: "urn:ietf:params:acme:error:" + o.problem}
	}
	return body
}

func (s *Server) showAuthorization(c *call) (int, any) {
	o := s.mine(c)
	if o == nil {
		return noSuch()
	}
	status := o.challenge
	if status == "processing" {
		status = "pending"
	}
	return http.StatusOK, map[string]any{"status": status, "identifier": identifier{"email", o.address}, "challenges": []any{s.challengeBody(o)}}
}

func (s *Server) postChallenge(c *call) (int, any) {
	o := s.mine(c)
	if o == nil {
		return noSuch()
	}
	if o.challenge == "pending" {
		o.challenge = "processing"
		if !o.sent {
			s.mail(o)
		}
	}
	return http.StatusOK, s.challengeBody(o)
}

func (s *Server) finalize(c *call) (int, any) {
	o := s.mine(c)
	if o == nil {
		return noSuch()
	}
	if o.status != "ready" {
		return failed("orderNotReady", o.status)
	}
	var in struct{ CSR string }
	if err := json.Unmarshal(c.payload, &in); err != nil {
		return failed("malformed", err.Error())
	}
	csr, err := x509.ParseCertificateRequest(decode(in.CSR))
	if err != nil || csr.CheckSignature() != nil || len(csr.EmailAddresses) != 1 || csr.EmailAddresses[0] != o.address {
		return failed("badCSR", "not for the address of the order")
	}
	// Each begins later than those before: the newest of an address signs.
	from := s.CA.Certificate.NotBefore.Add(time.Duration(len(s.orders)) * time.Second)
	id, err := s.CA.Issue(testpki.Leaf{Addresses: []string{o.address}, PublicKeyInfo: csr.RawSubjectPublicKeyInfo, NotBefore: from})
	if err != nil {
		return failed("badCSR", err.Error())
	}
	o.certificate, o.status = []*x509.Certificate{id.Certificate, s.CA.Certificate}, "valid"
	if o.slow > 0 {
		o.status = "processing"
	}
	return http.StatusOK, s.orderBody(o)
}

func (s *Server) download(c *call) (int, any) {
	o := s.mine(c)
	if o == nil || o.status != "valid" {
		return noSuch()
	}
	for _, one := range o.certificate {
		c.raw = append(c.raw, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: one.Raw})...)
	}
	return http.StatusOK, nil
}

func (s *Server) revoke(c *call) (int, any) {
	var in struct{ Certificate string }
	if err := json.Unmarshal(c.payload, &in); err != nil || c.account == nil {
		return failed("malformed", "no certificate, or no account")
	}
	one, err := pki.ParseCertificate(decode(in.Certificate))
	if err != nil {
		return failed("malformed", err.Error())
	}
	for _, r := range s.revoked {
		if r.Equal(one) {
			return failed("alreadyRevoked", "")
		}
	}
	s.revoked = append(s.revoked, one)
	return http.StatusOK, map[string]any{}
}
