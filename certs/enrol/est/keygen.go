package est

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/file"
	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// opKeygen is the operation whose key the server makes (RFC 7030 section 4.4).
const opKeygen = "serverkeygen"

// typePKCS8 is that of a private key that TLS alone protects (section 4.4.2).
const typePKCS8 = "application/pkcs8"

// The attributes of a request for a key that is encrypted within TLS as well (section 4.4.1).
var (
	oidDecryptKey     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 37}
	oidAsymDecryptKey = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 54}
)

// ErrNoServerKeys is the error of a CA that hands out no keys.
var ErrNoServerKeys = errors.New("serverkeygen is not offered")

// keygen answers with a key and its certificate. The key is protected by TLS: a request that
// wants it encrypted with a key of the client too is refused, as section 4.4.1 has it.
func (s *Server) keygen(w http.ResponseWriter, r *http.Request) {
	csr, ok := readRequest(w, r)
	if !ok {
		return
	}
	if wantsEncryption(csr) {
		http.Error(w, "the key comes by TLS alone: remove DecryptKeyIdentifier and AsymmetricDecryptKeyIdentifier", http.StatusBadRequest)
		return
	}
	a, release, err := s.CA()
	if err != nil {
		s.fail(w, r, err)
		return
	}
	defer release()
	request := Request{CSR: csr}
	request.User, request.Secret, _ = r.BasicAuth()
	id, err := a.ServerKey(r.Context(), request)
	if err == nil {
		err = writeKey(w, id)
	}
	if err != nil {
		s.fail(w, r, err)
	}
}

// wantsEncryption reports whether a request names a key with which the answer is to be
// encrypted.
func wantsEncryption(csr *x509.CertificateRequest) bool {
	var info struct {
		Version    int
		Subject    asn1.RawValue
		PublicKey  asn1.RawValue
		Attributes []asn1.RawValue `asn1:"tag:0"`
	}
	if _, err := asn1.Unmarshal(csr.RawTBSCertificateRequest, &info); err != nil {
		return true // what cannot be read may be such a wish
	}
	return slices.ContainsFunc(info.Attributes, func(raw asn1.RawValue) bool {
		var id asn1.ObjectIdentifier
		_, err := asn1.Unmarshal(raw.Bytes, &id)
		return err != nil || id.Equal(oidDecryptKey) || id.Equal(oidAsymDecryptKey)
	})
}

// writeKey answers with two parts (section 4.4.2). Nothing is written with an error.
func writeKey(w http.ResponseWriter, id *certs.Identity) error {
	key, err := pkix.MarshalPrivateKey(id.Key)
	if err != nil {
		return errors.New("the key is in a token, or of a kind that PKCS #8 does not have")
	}
	defer clear(key)
	bundle, err := file.EncodeBundle([]*x509.Certificate{id.Certificate})
	if err != nil {
		return err
	}
	var body bytes.Buffer
	parts := multipart.NewWriter(&body)
	for _, p := range []struct {
		media string
		der   []byte
	}{{typePKCS8, key}, {typePKCS7 + "; smime-type=certs-only", bundle}} {
		part, err := parts.CreatePart(textproto.MIMEHeader{"Content-Type": {p.media}, "Content-Transfer-Encoding": {"base64"}})
		if err != nil {
			return err
		}
		_, _ = io.WriteString(part, base64.StdEncoding.EncodeToString(p.der)) // a buffer takes all
	}
	if err := parts.Close(); err != nil {
		return err
	}
	w.Header().Set("Content-Type", mime.FormatMediaType("multipart/mixed", map[string]string{"boundary": parts.Boundary()}))
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(body.Bytes()) // who hung up asks again
	return nil
}

// serverKey has the server make the key. Repeated, it may make another one: the last counts.
func (c *Client) serverKey(ctx context.Context, csr []byte, own *certs.Identity) (crypto.PrivateKey, []*x509.Certificate, error) {
	body, header, err := c.do(ctx, opKeygen, csr, own)
	if err != nil {
		return nil, nil, err
	}
	defer clear(body)
	key, list, err := readKey(body, header.Get("Content-Type"))
	if err != nil {
		return nil, nil, fmt.Errorf("EST server: %s: %w", opKeygen, err)
	}
	return key, list, nil
}

// readKey reads the two parts of an answer, in any order.
func readKey(body []byte, contentType string) (key crypto.PrivateKey, list []*x509.Certificate, err error) {
	media, parameters, err := mime.ParseMediaType(contentType)
	if err != nil || media != "multipart/mixed" {
		return nil, nil, errors.New("the answer is not multipart/mixed")
	}
	parts := multipart.NewReader(bytes.NewReader(body), parameters["boundary"])
	for {
		p, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, nil, err
		}
		media, parameters, _ := mime.ParseMediaType(p.Header.Get("Content-Type")) // "" is another one
		text, err := io.ReadAll(p)                                                // of a body that is bounded
		if err != nil {
			return nil, nil, err
		}
		der, err := decode(text)
		if err != nil {
			return nil, nil, err
		}
		switch {
		case media == typePKCS8:
			key, err = pkix.ParsePrivateKey(der)
		case media == typePKCS7 && strings.EqualFold(parameters["smime-type"], "server-generated-key"):
			err = errors.New("the key is encrypted, which was not asked for")
		case media == typePKCS7:
			var problems []error
			list, problems, err = cms.ParseBundle(der)
			err = errors.Join(append(problems, err)...)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	if key == nil || len(list) == 0 {
		return nil, nil, errors.New("the answer lacks the key or its certificate")
	}
	return key, list, nil
}
