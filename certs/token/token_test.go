package token

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" // of OAEP as it is by default
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/cms"
)

var (
	_ certs.Keys        = (*Keys)(nil)
	_ crypto.Signer     = (*rsaKey)(nil)
	_ crypto.Decrypter  = (*rsaKey)(nil)
	_ cms.Device        = (*rsaKey)(nil)
	_ crypto.Signer     = (*ecKey)(nil)
	_ ecdh.KeyExchanger = (*ecKey)(nil)
	_ cms.Device        = (*ecKey)(nil)
)

var digest = sha256.Sum256([]byte("text"))

// sign has a key sign something.
func (k *Keys) sign(t *testing.T, name string) error {
	t.Helper()
	_, err := k.identity(t, name).Key.(crypto.Signer).Sign(nil, digest[:], crypto.SHA256)
	return err
}

// What is asked of the keys is done by the helper.
func TestKeys(t *testing.T) {
	w := newWorld(t, "noise")
	k := w.open(t, w.config())
	if n := len(k.Identities()); n != 2 || k.Err() != nil {
		t.Fatalf("%d identities, %v", n, k.Err())
	}
	must(t, k.sign(t, ecName))
	must(t, k.sign(t, rsaName))
	key := k.identity(t, rsaName).Key
	must(t, key.(cms.Device).Ready())
	_, err := key.(crypto.Signer).Sign(nil, digest[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256})
	must(t, err)
	public := w.certs[rsaName].PublicKey.(*rsa.PublicKey)
	c := testpki.Must(rsa.EncryptOAEP(sha1.New(), rand.Reader, public, []byte("secret"), []byte("label")))
	for name, o := range map[string]crypto.DecrypterOpts{
		"good":  &rsa.OAEPOptions{Hash: crypto.SHA1, Label: []byte("label")},
		"label": &rsa.OAEPOptions{Hash: crypto.SHA1, Label: []byte("other")},
		"mask":  &rsa.OAEPOptions{Hash: crypto.SHA1, MGFHash: crypto.SHA256, Label: []byte("label")},
	} {
		got, err := key.(crypto.Decrypter).Decrypt(nil, c, o)
		if (name == "good") != (err == nil) || err != nil && err != errPadding || err == nil && string(got) != "secret" {
			t.Errorf("OAEP, %s: %q, %v", name, got, err)
		}
	}
	for zeros := 0; zeros < 2; { // until secrets have begun with a zero
		other := testpki.Must(ecdh.P256().GenerateKey(rand.Reader))
		want := testpki.Must(other.ECDH(testpki.Must(w.certs[ecName].PublicKey.(*ecdsa.PublicKey).ECDH())))
		got, err := k.identity(t, ecName).Key.(ecdh.KeyExchanger).ECDH(other.PublicKey())
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%x, want %x, %v", got, want, err)
		}
		if want[0] == 0 {
			zeros++
		}
	}
	k.Close()
	log := w.log.String()
	if n := strings.Count(log, "output="); n == 0 || n > maxLines || len(log) > (maxLines+10)*(maxLine+300) {
		t.Errorf("%d lines of the helper are logged, in %d octets", n, len(log))
	}
	if traces(w.dir, "environment") != 0 {
		t.Error("the helper has arguments, or the socket that systemd gave to the gateway")
	}
	if w.counted("sign done") != 3 || w.counted("start done") != 1 || w.counted("decrypt undecryptable") != 2 || w.counted("a wrong name") != 0 {
		t.Errorf("counted: %v", w.count)
	}
}

// A helper that dies in the middle of an operation is started again, and asked again,
// once.
func TestHelperDies(t *testing.T) {
	w := newWorld(t, "crashes once")
	k := w.open(t, w.config())
	w.advance(pause)
	must(t, k.sign(t, rsaName))
	if n := traces(w.dir, "start"); n != 2 || w.counted("start done") != 2 {
		t.Errorf("%d starts, counted %v", n, w.count)
	}
}

// One that dies of each request is not started without a pause.
func TestHelperAlwaysDies(t *testing.T) {
	w := newWorld(t, "crashes")
	k := w.open(t, w.config())
	for range 5 {
		if err := k.sign(t, rsaName); !errors.Is(err, cms.ErrDevice) {
			t.Errorf("%v", err)
		}
	}
	if n := traces(w.dir, "start"); n != 1 {
		t.Errorf("%d starts", n)
	}
	w.advance(pause)
	for range 5 {
		if err := k.sign(t, rsaName); !errors.Is(err, cms.ErrDevice) {
			t.Errorf("%v", err)
		}
	}
	if n := traces(w.dir, "start"); n != 2 || w.counted("sign unavailable") != 10 {
		t.Errorf("%d starts, counted %v", n, w.count)
	}
	t.Setenv(behaviour, "good")
	w.advance(pause)
	must(t, k.sign(t, rsaName))
	if n := strings.Count(w.log.String(), "token helper lost"); n != 2 {
		t.Errorf("logged %d times", n)
	}
}

// Many at once share one start; none is lost when the helper dies.
func TestManyAtOnce(t *testing.T) {
	w := newWorld(t, "crashes once")
	k := w.open(t, w.config())
	w.advance(pause)
	var group sync.WaitGroup
	for range 64 {
		group.Go(func() {
			if err := k.sign(t, ecName); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if n := traces(w.dir, "start"); n != 2 {
		t.Errorf("%d starts", n)
	}
}

// A helper that hangs is waited for as long as the time-out says, and ended.
func TestHelperHangs(t *testing.T) {
	w := newWorld(t, "hangs once")
	c := w.config()
	c.Timeout = 4 * time.Second // in which it must be able to start
	k := w.open(t, c)
	if err := k.sign(t, rsaName); !errors.Is(err, cms.ErrDevice) || !strings.Contains(err.Error(), "no answer in time") {
		t.Errorf("%v", err)
	}
	w.advance(pause)
	must(t, k.sign(t, rsaName))
	if n := traces(w.dir, "start"); n != 2 {
		t.Errorf("%d starts", n)
	}
}

// One that reads nothing, or does not end when its input does, is ended all the same.
func TestHelperIsDeaf(t *testing.T) {
	w := newWorld(t, "deaf")
	c := w.config()
	c.Timeout = 300 * time.Millisecond
	k := w.open(t, c)
	if err := k.Err(); !errors.Is(err, cms.ErrDevice) {
		t.Errorf("%v", err)
	}
	t.Setenv(behaviour, "lingers")
	w.advance(pause)
	must(t, k.sign(t, rsaName))
	k.Close()
}

// What a helper answers wrongly is not used.
func TestWrongAnswers(t *testing.T) {
	w := newWorld(t, "wrong")
	k := w.open(t, w.config())
	for _, name := range []string{rsaName, ecName} {
		if err := k.sign(t, name); !errors.Is(err, cms.ErrDevice) || !errors.Is(err, errWrongSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := k.identity(t, rsaName).Key.(crypto.Decrypter).Decrypt(nil, make([]byte, 256), &rsa.PKCS1v15DecryptOptions{}); !errors.Is(err, cms.ErrDevice) {
		t.Errorf("a plaintext that is longer than the key: %v", err)
	}
	other := testpki.Must(ecdh.P256().GenerateKey(rand.Reader)).PublicKey()
	if _, err := k.identity(t, ecName).Key.(ecdh.KeyExchanger).ECDH(other); !errors.Is(err, cms.ErrDevice) {
		t.Errorf("no secret: %v", err)
	}
}

func TestNotReady(t *testing.T) {
	w := newWorld(t, "not ready")
	k := w.open(t, w.config())
	if err := k.identity(t, rsaName).Key.(cms.Device).Ready(); !errors.Is(err, cms.ErrDevice) {
		t.Errorf("%v", err)
	}
	if w.counted("ready unavailable") != 1 {
		t.Errorf("an unknown kind is counted as %v", w.count)
	}
}

// What the keys cannot do is refused before the helper is asked.
func TestUnsupported(t *testing.T) {
	w := newWorld(t, "good")
	k := w.open(t, w.config())
	key := k.identity(t, rsaName).Key
	for name, o := range map[string]crypto.DecrypterOpts{
		"none": nil, "hash": &rsa.OAEPOptions{Hash: crypto.MD5}, "session key": &rsa.PKCS1v15DecryptOptions{SessionKeyLen: 32},
	} {
		if _, err := key.(crypto.Decrypter).Decrypt(nil, make([]byte, 256), o); !errors.Is(err, cms.ErrUnsupported) || errors.Is(err, cms.ErrDevice) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := key.(crypto.Signer).Sign(nil, digest[:5], crypto.SHA256); !errors.Is(err, cms.ErrUnsupported) {
		t.Errorf("a digest of five octets: %v", err)
	}
	p521 := testpki.Must(ecdh.P521().GenerateKey(rand.Reader)).PublicKey()
	if _, err := k.identity(t, ecName).Key.(ecdh.KeyExchanger).ECDH(p521); !errors.Is(err, cms.ErrUnsupported) {
		t.Errorf("a point on another curve: %v", err)
	}
}

// A token that is away at the start is asked again, after a pause.
func TestTokenComesLater(t *testing.T) {
	w := newWorld(t, "away")
	k := w.open(t, w.config())
	for range 3 {
		if err := k.Err(); !errors.Is(err, cms.ErrDevice) || k.Identities() != nil {
			t.Errorf("%v", err)
		}
	}
	if n := w.counted("list unavailable"); n != 1 {
		t.Errorf("asked %d times", n)
	}
	// The helper that runs says the same again: it is started for another answer.
	t.Setenv(behaviour, "good")
	k.link.current.fail(errors.New("killed"))
	w.advance(pause)
	must(t, k.Err())
	if !strings.Contains(w.log.String(), "token available again") {
		t.Error(w.log)
	}
}

// What only a person can mend is said at once.
func TestRefused(t *testing.T) {
	w := newWorld(t, "empty")
	for name, x := range map[string]struct {
		edit func(*Config)
		want string
	}{
		"no URI":        {func(c *Config) { c.Token = "token" }, "pkcs11:"},
		"no socket":     {func(c *Config) { c.Token = "unix:s" }, "unix:/path"},
		"no helper":     {func(c *Config) { c.Helper = filepath.Join(w.dir, "none") }, "smimerelay-pkcs11"},
		"no program":    {func(c *Config) { c.Helper = filepath.Join(w.dir, "rsa.cer") }, "token_helper"},
		"no keys in it": {func(*Config) {}, "no private key"},
	} {
		c := w.config()
		x.edit(&c)
		if _, err := Open(c); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v, want %q", name, err, x.want)
		}
	}
}

// A PIN that was refused is not tried by another helper, until its file changes.
func TestWrongPIN(t *testing.T) {
	w := newWorld(t, "wrong PIN")
	pin := filepath.Join(w.dir, "pin")
	must(t, os.WriteFile(pin, []byte("1234"), 0o600))
	for range 5 {
		if _, err := Open(w.config()); err == nil || !isRefusal(err) {
			t.Fatalf("%v", err)
		}
	}
	if n := traces(w.dir, "start"); n != 1 {
		t.Errorf("%d helpers tried it", n)
	}
	must(t, os.Rename(pin, pin+".old"))
	if _, err := Open(w.config()); !isRefusal(err) || traces(w.dir, "start") != 1 {
		t.Errorf("while its file is away: %v", err)
	}
	must(t, os.WriteFile(pin, []byte("12345"), 0o600))
	t.Setenv(behaviour, "good")
	must(t, w.open(t, w.config()).sign(t, rsaName))
}
