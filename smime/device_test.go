package smime

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/cms"
	"github.com/smimerelay/smimerelay/smime/message"
)

// A device is an RSA key that can be away, before it is given something or then.
type device struct {
	crypto.Decrypter
	ready, decrypt error
	asked          int // how often it was given something to decrypt
}

func (d *device) Ready() error { return d.ready }

func (d *device) Decrypt(r io.Reader, b []byte, o crypto.DecrypterOpts) ([]byte, error) {
	d.asked++
	if d.decrypt != nil {
		return nil, d.decrypt
	}
	return d.Decrypter.Decrypt(r, b, o)
}

var errAway = fmt.Errorf("%w: removed", cms.ErrDevice)

func TestDeviceAway(t *testing.T) {
	w := newWorld(t)
	first, second := w.issue("x@example.org", "rsa2048"), w.issue("y@example.org", "rsa2048")
	secret := encrypt(t, mail(t, text), EncryptOptions{Cipher: "aes-256-gcm"}, first, second)
	// Recipients are in the order of their octets.
	if object, err := secret.Root().Decode(); err != nil {
		t.Fatal(err)
	} else if e := testpki.Must(cms.ParseEnvelopedData(object)); !bytes.Equal(e.Recipients[0].ID.Serial, cms.CertificateID(first.Certificate).Serial) {
		first, second = second, first
	}
	// The last octets in base64 are those of the authentication tag.
	raw := bytes.Clone(secret.Bytes())
	at := len(bytes.TrimRight(raw, "=\r\n")) - 8
	raw[at] = map[bool]byte{true: 'B', false: 'A'}[raw[at] == 'A']
	broken := testpki.Must(message.Parse(raw))
	none := errors.New("padding")
	for name, c := range map[string]struct {
		message       *message.Message
		first, second device
		out           bool // our keys could not be asked
		decrypted     bool
		asked         int // of the first
	}{
		"both there":               {message: secret, decrypted: true, asked: 1},
		"both there, bad":          {message: broken, asked: 1},
		"first fails":              {message: secret, first: device{decrypt: none}, decrypted: true, asked: 1},
		"first away in the act":    {message: secret, first: device{decrypt: errAway}, out: true, asked: 1},
		"first away":               {message: secret, first: device{ready: errAway}, out: true},
		"second away":              {message: secret, second: device{ready: errAway}, out: true},
		"second away, bad":         {message: broken, second: device{ready: errAway}, out: true},
		"second away, first fails": {message: secret, first: device{decrypt: none}, second: device{ready: errAway}, out: true},
	} {
		t.Run(name, func(t *testing.T) {
			c.first.Decrypter = first.Key.(crypto.Decrypter)
			c.second.Decrypter = second.Key.(crypto.Decrypter)
			keys := certs.NewKeys(nil,
				&certs.Identity{Certificate: first.Certificate, Key: &c.first},
				&certs.Identity{Certificate: second.Certificate, Key: &c.second})
			opened := Open(context.Background(), c.message, OpenOptions{Keys: keys})
			if (opened.KeyError != nil) != c.out || opened.Decrypted != c.decrypted || c.first.asked != c.asked {
				t.Errorf("keys out: %v, decrypted %t, asked %d times", opened.KeyError, opened.Decrypted, c.first.asked)
			}
			if c.out {
				expect(t, opened, certs.TempError, "key-store")
			}
		})
	}
}
