// Package oidctest is an OpenID Connect provider for tests: it signs in each browser that comes, and
// makes forged ID tokens on request.
package oidctest

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"time"
)

// Client and Secret are those of the only client.
const (
	Client = "console"
	Secret = "a secret of the client: /+%"
)

// Provider is a provider that runs.
type Provider struct {
	URL string
	// Page has a page with a button before the browser goes back, as a real provider has.
	Page bool
	// Reuse has a code count more than once, which no good provider allows.
	Reuse bool

	server *httptest.Server
	mu     sync.Mutex
	keys   []*rsa.PrivateKey // the last one signs
	names  []string          // of keys
	codes  map[string]url.Values
	count  int
	claims map[string]any
	forge  func(claims map[string]any, p *Provider) string
	down   bool
}

// Start starts a provider; call Close when done with it.
func Start() *Provider {
	p := &Provider{codes: map[string]url.Values{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", p.describe)
	mux.HandleFunc("GET /keys", p.showKeys)
	mux.HandleFunc("GET /authorize", p.authorize)
	mux.HandleFunc("POST /token", p.token)
	mux.HandleFunc("GET /end", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<title>signed out</title>") })
	mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	p.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		down := p.down
		p.mu.Unlock()
		if down {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	p.URL = p.server.URL
	p.Rotate()
	return p
}

// Close stops the provider.
func (p *Provider) Close() { p.server.Close() }

// Down has the provider answer nothing, or answer again.
func (p *Provider) Down(down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = down
}

// SignIn says who comes next: claims beside those that each token has.
func (p *Provider) SignIn(claims map[string]any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.claims, p.forge = claims, nil
}

// Forge has the ID token made otherwise, of the claims that it would have.
func (p *Provider) Forge(f func(claims map[string]any, p *Provider) string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forge = f
}

// Rotate has a new key sign, and removes the one before.
func (p *Provider) Rotate() {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count++
	p.keys, p.names = []*rsa.PrivateKey{key}, []string{fmt.Sprintf("key-%d", p.count)}
}

func (p *Provider) describe(w http.ResponseWriter, _ *http.Request) {
	answer(w, map[string]any{
		"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys",
		"end_session_endpoint": p.URL + "/end", "response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
		"id_token_signing_alg_values_supported": []string{"RS256", "HS256", "none"},
	})
}

func answer(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(value); err != nil {
		panic(http.ErrAbortHandler)
	}
}

func (p *Provider) showKeys(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []map[string]string
	for i, k := range p.keys {
		list = append(list, map[string]string{
			"kty": "RSA", "use": "sig", "alg": "RS256", "kid": p.names[i],
			"n": encode(k.N.Bytes()), "e": encode(big.NewInt(int64(k.E)).Bytes()),
		})
	}
	answer(w, map[string]any{"keys": list})
}

// authorize gives a code for what was asked.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("client_id") != Client || q.Get("response_type") != "code" || q.Get("code_challenge_method") != "S256" || q.Get("state") == "" || q.Get("nonce") == "" {
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	p.mu.Lock()
	p.count++
	code := fmt.Sprintf("code-%d", p.count)
	p.codes[code] = q
	p.mu.Unlock()
	back := q.Get("redirect_uri") + "?" + url.Values{"code": {code}, "state": {q.Get("state")}, "iss": {p.URL}}.Encode()
	if p.Page {
		fmt.Fprintf(w, `<!DOCTYPE html><title>provider</title><form action="/back"><a id="go" href="%s">Sign in</a></form>`, back)
		return
	}
	http.Redirect(w, r, back, http.StatusFound)
}

// token gives an ID token for a code, once.
func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	name, secret, _ := r.BasicAuth() // form-encoded (RFC 6749 section 2.3.1)
	if secret, err := url.QueryUnescape(secret); err != nil || name != Client || secret != Secret {
		w.WriteHeader(http.StatusUnauthorized)
		answer(w, map[string]string{"error": "invalid_client"})
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	asked, ok := p.codes[r.PostFormValue("code")]
	if !p.Reuse {
		delete(p.codes, r.PostFormValue("code"))
	}
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	if !ok || encode(sum[:]) != asked.Get("code_challenge") || r.PostFormValue("redirect_uri") != asked.Get("redirect_uri") {
		w.WriteHeader(http.StatusBadRequest)
		answer(w, map[string]string{"error": "invalid_grant"})
		return
	}
	now := time.Now()
	claims := map[string]any{
		"iss": p.URL, "aud": Client, "sub": "subject-1", "nonce": asked.Get("nonce"), "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
	}
	maps.Copy(claims, p.claims)
	signed := ""
	if p.forge != nil {
		signed = p.forge(claims, p)
	} else {
		signed = p.Sign(claims)
	}
	answer(w, map[string]any{"access_token": "opaque", "token_type": "Bearer", "id_token": signed})
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// unsigned is a token up to its signature.
func unsigned(alg, key string, claims map[string]any) string {
	var parts [2]string
	for i, v := range []any{map[string]string{"alg": alg, "kid": key}, claims} {
		b, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		parts[i] = encode(b)
	}
	return parts[0] + "." + parts[1]
}

// Sign makes an ID token. Call it from Forge only.
func (p *Provider) Sign(claims map[string]any) string {
	return p.SignBy(p.keys[0], claims)
}

// SignBy makes an ID token with another key.
func (p *Provider) SignBy(key *rsa.PrivateKey, claims map[string]any) string {
	text := unsigned("RS256", p.names[0], claims)
	sum := sha256.Sum256([]byte(text))
	sig, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:])
	if err != nil {
		panic(err)
	}
	return text + "." + encode(sig)
}

// Unsigned makes an ID token with the algorithm none.
func (p *Provider) Unsigned(claims map[string]any) string {
	return unsigned("none", p.names[0], claims) + "."
}

// SignByPublicKey makes an ID token with HS256, whose key is the public key.
func (p *Provider) SignByPublicKey(claims map[string]any) string {
	text := unsigned("HS256", p.names[0], claims)
	mac := hmac.New(sha256.New, x509.MarshalPKCS1PublicKey(&p.keys[0].PublicKey))
	mac.Write([]byte(text))
	return text + "." + encode(mac.Sum(nil))
}
