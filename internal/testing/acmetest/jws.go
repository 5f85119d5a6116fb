package acmetest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
)

// call is one signed request (RFC 8555 section 6.2).
type call struct {
	w       http.ResponseWriter
	id      string // of the path
	payload []byte // empty: POST-as-GET
	account *account
	key     *ecdsa.PublicKey // where the request has its key with it
	print   string
	// raw answers with what is no JSON.
	raw []byte
}

type jws struct{ Protected, Payload, Signature string }

type jwk struct {
	Crv string `json:"crv"`
	Kty string `json:"kty"`
	X   string `json:"x"`
	Y   string `json:"y"`
}

type protected struct {
	Alg, Nonce, URL, Kid string
	JWK                  *jwk
}

func decode(text string) []byte {
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil
	}
	return b
}

func (k *jwk) key() (*ecdsa.PublicKey, string, error) {
	x, y := decode(k.X), decode(k.Y)
	if k.Crv != "P-256" || k.Kty != "EC" || len(x) != 32 || len(y) != 32 {
		return nil, "", errors.New("not a P-256 key")
	}
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, x...), y...))
	text, _ := json.Marshal(k) // in the order of RFC 7638 section 3.2
	sum := sha256.Sum256(text)
	return key, base64.RawURLEncoding.EncodeToString(sum[:]), err
}

func (j *jws) signedBy(key *ecdsa.PublicKey) bool {
	sig := decode(j.Signature)
	if len(sig) != 64 {
		return false
	}
	sum := sha256.Sum256([]byte(j.Protected + "." + j.Payload))
	return ecdsa.Verify(key, sum[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:]))
}

// read verifies a request.
func (s *Server) read(r *http.Request) (*call, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	var j jws
	var p protected
	if err := errors.Join(json.Unmarshal(body, &j), json.Unmarshal(decode(j.Protected), &p)); err != nil {
		return nil, err
	}
	if got := r.Header.Get("Content-Type"); got != "application/jose+json" {
		return nil, fmt.Errorf("content type %q", got)
	}
	if p.URL != s.http.URL+r.URL.Path || p.Alg != "ES256" {
		return nil, fmt.Errorf("signed for %q with %s", p.URL, p.Alg)
	}
	if !s.nonces[p.Nonce] {
		return nil, errNonce
	}
	delete(s.nonces, p.Nonce)
	c := &call{id: r.PathValue("id"), payload: decode(j.Payload)}
	switch {
	case (p.JWK == nil) == (p.Kid == ""):
		return nil, errors.New("jwk and kid, or neither")
	case p.JWK != nil:
		if c.key, c.print, err = p.JWK.key(); err != nil {
			return nil, err
		}
	default:
		if c.account = s.accounts[p.Kid]; c.account == nil {
			return nil, errAccount
		}
		c.key = c.account.key
	}
	if !j.signedBy(c.key) {
		return nil, errors.New("the signature is wrong")
	}
	return c, nil
}

// bound reports whether an external account stands for a key (section 7.3.4).
func (s *Server) bound(raw json.RawMessage, key *ecdsa.PublicKey) bool {
	var j jws
	var p protected
	var k jwk
	if json.Unmarshal(raw, &j) != nil || json.Unmarshal(decode(j.Protected), &p) != nil || json.Unmarshal(decode(j.Payload), &k) != nil {
		return false
	}
	mac := hmac.New(sha256.New, s.EAB[p.Kid])
	mac.Write([]byte(j.Protected + "." + j.Payload))
	inner, _, err := k.key()
	return err == nil && inner.Equal(key) && s.EAB[p.Kid] != nil && p.Alg == "HS256" && p.URL == s.at("new-account", "") && hmac.Equal(mac.Sum(nil), decode(j.Signature))
}
