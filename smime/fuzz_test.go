package smime

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/cms"
	"github.com/smimerelay/smimerelay/smime/message"
)

// fuzzIdentity is the same in every process, so that what one encrypted another
// can decrypt.
func fuzzIdentity(t testing.TB) *certs.Identity {
	t.Helper()
	seed := sha256.Sum256([]byte("fuzz"))
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), seed[:])
	if err != nil {
		t.Fatal(err)
	}
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	return (*certs.Identity)(testpki.Must(ca.Issue(testpki.Leaf{
		Addresses: []string{"alice@example.org"}, PrivateKey: key, Serial: big.NewInt(1),
	})))
}

// trusting says yes to everything.
type trusting struct{}

func (trusting) Check(context.Context, *x509.Certificate, certs.Request) certs.Verdict {
	return certs.Verdict{Result: certs.Pass, ChainState: "trusted", Revocation: "good"}
}

// Whatever the bytes: Open ends, changes nothing it did not decrypt, and says
// pass only with a signer.
func FuzzOpen(f *testing.F) {
	id := fuzzIdentity(f)
	to := []*x509.Certificate{id.Certificate}
	m := mail(f, samples["multipart"])
	for _, opaque := range []bool{false, true} {
		signed, err := Sign(m, id, SignOptions{Opaque: opaque, Time: time.Unix(1_800_000_000, 0)})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(signed.Bytes())
		f.Add([]byte(strings.ReplaceAll(string(signed.Bytes()), "\r\n", "\n")))
		for _, cipher := range []cms.Cipher{"", cms.AES128GCM} {
			secret, err := Encrypt(signed, to, EncryptOptions{Cipher: cipher})
			if err != nil {
				f.Fatal(err)
			}
			f.Add(secret.Bytes())
		}
	}
	options := OpenOptions{Keys: certs.NewKeys(nil, id), Checker: trusting{}}
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := message.Parse(raw)
		if err != nil {
			return
		}
		opened := Open(context.Background(), m, options)
		r := opened.Report
		if r.Result == certs.Pass && len(r.Signers) == 0 {
			t.Errorf("pass without a signer: %+v", r)
		}
		if opened.Decrypted == (opened.Message == m) {
			t.Errorf("decrypted is %v", opened.Decrypted)
		}
		if opened.Decrypted && opened.Message.LineEnd() != message.CRLF {
			t.Errorf("delivers %q", opened.Message.Bytes())
		}
		_ = Inspect(m)
	})
}

// Whatever the message: what is signed passes relays, and what is signed and
// encrypted opens again.
func FuzzProtect(f *testing.F) {
	id := fuzzIdentity(f)
	for _, text := range samples {
		f.Add([]byte(text))
	}
	for _, text := range unsafeSamples {
		f.Add([]byte(text))
	}
	options := OpenOptions{Keys: certs.NewKeys(nil, id), Checker: trusting{}}
	f.Fuzz(func(t *testing.T, rest []byte) {
		m, err := message.Parse(append([]byte("From: alice@example.org\r\n"), rest...))
		if err != nil {
			return
		}
		signed, err := Sign(m, id, SignOptions{})
		if err != nil {
			return
		}
		if !travels(signed.Body(), maxFieldLine) && !blankHeaderLine(signed) {
			t.Errorf("does not travel: %q", signed.Body())
		}
		secret, err := Encrypt(signed, []*x509.Certificate{id.Certificate}, EncryptOptions{})
		if err != nil {
			t.Fatal(err)
		}
		opened := Open(context.Background(), secret, options)
		if n := len(opened.Report.Signers); !opened.Decrypted || n == 0 || opened.Report.Signers[0].broken {
			t.Errorf("%q: %+v", rest, opened.Report)
		}
	})
}

// blankHeaderLine reports whether a header line inside ends with a blank, which
// is let pass.
func blankHeaderLine(m *message.Message) bool {
	found := false
	m.Root().Walk(func(p *message.Part) bool {
		for _, f := range p.Fields {
			found = found || !travels(f.Raw, maxFieldLine)
		}
		return true
	})
	return found
}

// travels reports whether data passes every mail relay unchanged.
func travels(data []byte, limit int) bool { return message.ScanLines(data).Sturdy(limit) }
