//go:build cgo

package cryptoki

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/pkcs11"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// faulty is SoftHSM with what is done to its calls.
type faulty struct {
	*pkcs11.Ctx
	mu     sync.Mutex
	before map[string]func() error // by the name of the call; an error is its answer
	// decrypted and signed change answers.
	decrypted func([]byte, error) ([]byte, error)
	signed    func([]byte) []byte
	calls     map[string]int
	sessions  atomic.Int32 // that are open
	most      atomic.Int32
}

// newFaulty returns a registry whose libraries are f.
func newFaulty() (*faulty, *registry) {
	f := &faulty{before: map[string]func() error{}, calls: map[string]int{}}
	return f, newRegistry(func(path string) cryptoki { f.Ctx = pkcs11.New(path); return f })
}

// on sets what happens before a call.
func (f *faulty) on(call string, do func() error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.before[call] = do
}

// fails has a call fail with these errors, one after the other.
func (f *faulty) fails(call string, codes ...uint) {
	f.on(call, func() error {
		if len(codes) == 0 {
			return nil
		}
		code := codes[0]
		codes = codes[1:]
		return pkcs11.Error(code)
	})
}

func (f *faulty) enter(call string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls[call]++
	if do := f.before[call]; do != nil {
		return do()
	}
	return nil
}

func (f *faulty) count(call string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[call]
}

func (f *faulty) GetSlotList(present bool) ([]uint, error) {
	if err := f.enter("GetSlotList"); err != nil {
		return nil, err
	}
	return f.Ctx.GetSlotList(present)
}

func (f *faulty) OpenSession(slot, flags uint) (pkcs11.SessionHandle, error) {
	if err := f.enter("OpenSession"); err != nil {
		return 0, err
	}
	h, err := f.Ctx.OpenSession(slot, flags)
	if err == nil {
		f.most.Store(max(f.most.Load(), f.sessions.Add(1)))
	}
	return h, err
}

func (f *faulty) CloseSession(h pkcs11.SessionHandle) error {
	f.sessions.Add(-1)
	return f.Ctx.CloseSession(h)
}

func (f *faulty) GetSessionInfo(h pkcs11.SessionHandle) (pkcs11.SessionInfo, error) {
	if err := f.enter("GetSessionInfo"); err != nil {
		return pkcs11.SessionInfo{}, err
	}
	return f.Ctx.GetSessionInfo(h)
}

func (f *faulty) GetTokenInfo(slot uint) (pkcs11.TokenInfo, error) {
	info, err := f.Ctx.GetTokenInfo(slot)
	if f.enter("GetTokenInfo") != nil {
		info.Flags |= pkcs11.CKF_USER_PIN_FINAL_TRY
	}
	return info, err
}

// GetAttributeValue leaves out the zeros before a secret, as some tokens do.
func (f *faulty) GetAttributeValue(h pkcs11.SessionHandle, o pkcs11.ObjectHandle, a []*pkcs11.Attribute) ([]*pkcs11.Attribute, error) {
	found, err := f.Ctx.GetAttributeValue(h, o, a)
	if err == nil && a[0].Type == pkcs11.CKA_VALUE {
		found[0].Value = bytes.TrimLeft(found[0].Value, "\x00")
	}
	return found, err
}

func (f *faulty) Login(h pkcs11.SessionHandle, user uint, pin string) error {
	if err := f.enter("Login"); err != nil {
		return err
	}
	return f.Ctx.Login(h, user, pin)
}

func (f *faulty) Sign(h pkcs11.SessionHandle, data []byte) ([]byte, error) {
	signature, err := f.Ctx.Sign(h, data)
	if err := f.enter("Sign"); err != nil {
		return nil, err
	}
	if f.signed != nil {
		signature = f.signed(signature)
	}
	return signature, err
}

func (f *faulty) Decrypt(h pkcs11.SessionHandle, data []byte) ([]byte, error) {
	plain, err := f.Ctx.Decrypt(h, data)
	if err := f.enter("Decrypt"); err != nil {
		return nil, err
	}
	if f.decrypted != nil {
		return f.decrypted(plain, err)
	}
	return plain, err
}

// openFaulty opens the token of w through f.
func (w *world) openFaulty(t *testing.T, r *registry, o Options) *opened {
	t.Helper()
	return testpki.Must(w.connect(t, w.token.URI(""), r, o, nil))
}

// sign has alice's key sign something.
func (k *opened) sign(t *testing.T) error {
	t.Helper()
	digest := sha256.Sum256([]byte("text"))
	_, err := k.signing(t, alice).Key.(crypto.Signer).Sign(nil, digest[:], crypto.SHA256)
	return err
}

func TestSessionsThatGetLost(t *testing.T) {
	w := newWorld(t)
	f, r := newFaulty()
	k := w.openFaulty(t, r, Options{})
	for _, code := range []uint{pkcs11.CKR_SESSION_HANDLE_INVALID, pkcs11.CKR_USER_NOT_LOGGED_IN, pkcs11.CKR_SESSION_CLOSED, pkcs11.CKR_KEY_HANDLE_INVALID} {
		f.fails("Sign", code)
		if err := k.sign(t); err != nil {
			t.Errorf("once %v: %v", pkcs11.Error(code), err)
		}
		f.fails("Sign", code, code)
		if err := k.sign(t); !errors.Is(err, cms.ErrDevice) {
			t.Errorf("twice %v: %v", pkcs11.Error(code), err)
		}
		if err := k.sign(t); err != nil {
			t.Errorf("after that: %v", err)
		}
	}
	// All sessions are gone, and with them the login.
	for _, s := range []*session{testpki.Must(k.Token.pool.take()), testpki.Must(k.Token.pool.take()), testpki.Must(k.Token.pool.take())} {
		k.Token.pool.put(s)
	}
	slot, _, err := k.Token.uri.slot(f)
	must(t, err)
	logins := f.calls["Login"]
	must(t, f.CloseAllSessions(slot))
	if err := k.sign(t); err != nil || f.calls["Login"] != logins+1 {
		t.Errorf("after all sessions were closed: %v, %d logins", err, f.calls["Login"]-logins)
	}
	f.fails("Sign", pkcs11.CKR_DEVICE_ERROR)
	if err := k.sign(t); err != nil {
		t.Errorf("once a device error: %v", err)
	}
	f.fails("Sign", pkcs11.CKR_DEVICE_ERROR)
	if err := k.sign(t); !errors.Is(err, cms.ErrDevice) || strings.Contains(err.Error(), w.token.PIN) {
		t.Errorf("device error: %v", err)
	}
	for range 2 {
		f.fails("OpenSession", pkcs11.CKR_TOKEN_NOT_PRESENT, pkcs11.CKR_TOKEN_NOT_PRESENT)
		f.fails("GetSessionInfo", pkcs11.CKR_SESSION_CLOSED)
		if err := k.signing(t, alice).Key.(cms.Device).Ready(); !errors.Is(err, cms.ErrDevice) {
			t.Errorf("ready, with the token out: %v", err)
		}
	}
	f.fails("OpenSession")
	if err := k.signing(t, alice).Key.(cms.Device).Ready(); err != nil {
		t.Errorf("ready, with the token in: %v", err)
	}
}

// A signature that is wrong stays here.
func TestWrongSignature(t *testing.T) {
	w := newWorld(t)
	f, r := newFaulty()
	k := w.openFaulty(t, r, Options{})
	f.signed = func(b []byte) []byte { b[9] ^= 1; return b }
	if err := k.sign(t); !errors.Is(err, cms.ErrDevice) {
		t.Errorf("%v", err)
	}
}

// A token that is away when the gateway starts is read when it is there.
func TestTokenComesLater(t *testing.T) {
	w := newWorld(t)
	f, r := newFaulty()
	now := time.Now()
	away := true
	f.on("GetSlotList", func() error {
		if away {
			return pkcs11.Error(pkcs11.CKR_DEVICE_ERROR)
		}
		return nil
	})
	k := w.openFaulty(t, r, Options{Clock: func() time.Time { return now }})
	a := testpki.Must(address.Parse(alice))
	for range 3 {
		if id, err := k.Signing(t.Context(), a); err == nil || k.Err() == nil || !errors.Is(err, cms.ErrDevice) {
			t.Fatalf("%v, %v", id, err)
		}
	}
	if n := f.count("GetSlotList"); n != 2 { // the second after the library was initialized again
		t.Errorf("asked %d times", n)
	}
	away, now = false, now.Add(pause)
	if id, err := k.Signing(t.Context(), a); err != nil || id == nil || k.Err() != nil {
		t.Errorf("%v, %v", id, err)
	}
}

// SoftHSM sees a token only that is there when it starts, as other libraries do.
func TestTokenGoesAndComes(t *testing.T) {
	w := newWorld(t)
	_, r := newFaulty()
	now := time.Now()
	tokens := w.token.Folder
	must(t, os.Rename(tokens, tokens+".away"))
	must(t, os.Mkdir(tokens, 0o700))
	k := w.openFaulty(t, r, Options{Clock: func() time.Time { return now }})
	if err := k.Err(); !errors.Is(err, cms.ErrDevice) {
		t.Fatalf("away at the start: %v", err)
	}
	must(t, os.Remove(tokens))
	must(t, os.Rename(tokens+".away", tokens))
	now = now.Add(pause)
	must(t, k.sign(t))

	key := k.signing(t, alice).Key.(cms.Device)
	must(t, os.Rename(tokens, tokens+".away"))
	now = now.Add(pause)
	k.Token.module.restart(now) // which fails: SoftHSM does not begin without the folder
	for range 2 {
		if err := key.Ready(); !errors.Is(err, cms.ErrDevice) {
			t.Errorf("taken out: %v", err)
		}
	}
	must(t, os.Rename(tokens+".away", tokens))
	if err := key.Ready(); !errors.Is(err, cms.ErrDevice) {
		t.Errorf("looked for too often: %v", err)
	}
	now = now.Add(pause)
	must(t, key.Ready())
	must(t, k.sign(t))
}

// A call that hangs is waited for so long, and no longer, and only its session is
// missing afterwards.
func TestTokenHangs(t *testing.T) {
	w := newWorld(t)
	f, r := newFaulty()
	var hangs atomic.Int32
	k := w.openFaulty(t, r, Options{Timeout: 300 * time.Millisecond, Hangs: func() { hangs.Add(1) }})
	release := make(chan struct{})
	f.mu.Lock()
	f.signed = func(b []byte) []byte { <-release; return b }
	f.mu.Unlock()
	var group sync.WaitGroup
	for range maxSessions + 1 { // one finds no free session
		group.Go(func() {
			if err := k.sign(t); !errors.Is(err, cms.ErrDevice) {
				t.Errorf("%v", err)
			}
		})
	}
	group.Wait()
	if err := k.Token.Close(); err == nil || !strings.Contains(err.Error(), "no answer in time") {
		t.Errorf("close: %v", err)
	}
	if hangs.Load() == 0 {
		t.Error("that a call hangs is not reported")
	}
	close(release)
	k.Token.pool.work.Wait()
	if err := k.Token.Close(); err != nil || f.sessions.Load() != 0 || len(r.loaded) != 0 {
		t.Errorf("close again: %v, %d sessions, %d libraries", err, f.sessions.Load(), len(r.loaded))
	}
}

func TestManyAtOnce(t *testing.T) {
	w := newWorld(t)
	f, r := newFaulty()
	k := w.openFaulty(t, r, Options{})
	var group sync.WaitGroup
	for range 64 {
		group.Go(func() {
			if err := k.sign(t); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if n := f.most.Load(); n > maxSessions || n < 2 {
		t.Errorf("%d sessions", n)
	}
	key := k.signing(t, alice).Key.(cms.Device)
	k.close(t)
	if err := key.Ready(); !errors.Is(err, cms.ErrDevice) {
		t.Errorf("after the end: %v", err)
	}
}

// Two generations of parts live side by side, and the first may go.
func TestTwoGenerations(t *testing.T) {
	w := newWorld(t)
	_, r := newFaulty()
	first, second := w.openFaulty(t, r, Options{}), w.openFaulty(t, r, Options{})
	must(t, first.sign(t))
	first.close(t)
	must(t, second.sign(t))
	second.close(t)
	second.close(t)
	if len(r.loaded) != 0 {
		t.Error("a library stays loaded")
	}
}

// A wrong PIN is tried once: tokens lock after a few.
func TestWrongPIN(t *testing.T) {
	w := newWorld(t)
	f, r := newFaulty()
	must(t, os.WriteFile(w.token.PINFile, []byte("999111"), 0o600))
	for range 5 {
		_, err := w.connect(t, w.token.URI(""), r, Options{}, nil)
		if err == nil || !strings.Contains(err.Error(), w.token.PINFile) || strings.Contains(err.Error(), "999111") {
			t.Fatalf("%v", err)
		}
	}
	if n := f.calls["Login"]; n != 1 {
		t.Errorf("the PIN was tried %d times", n)
	}
	must(t, os.WriteFile(w.token.PINFile, []byte(w.token.PIN+"\n"), 0o600))
	k := w.openFaulty(t, r, Options{})
	must(t, k.sign(t))
	k.close(t)

	f.on("GetTokenInfo", func() error { return pkcs11.Error(pkcs11.CKR_PIN_INCORRECT) })
	logins := f.calls["Login"]
	if _, err := w.connect(t, w.token.URI(""), r, Options{}, nil); err == nil || !strings.Contains(err.Error(), "one more attempt") || f.calls["Login"] != logins {
		t.Errorf("the last attempt: %v, %d logins", err, f.calls["Login"]-logins)
	}
}

// encrypt encrypts to alice with the scheme of RFC 8551 section 2.3.
func (w *world) encrypt(secret []byte) []byte {
	// What is tested.
	return testpki.Must(rsa.EncryptPKCS1v15(rand.Reader, w.certs[alice].PublicKey.(*rsa.PublicKey), secret))
}

// What is tested.
var pkcs1 = &rsa.PKCS1v15DecryptOptions{}

// What is wrong with a ciphertext has one answer, also from a token that says of
// a bad padding what others say when they fail; a token that fails has another,
// also for a good ciphertext.
func TestTokenIsNoOracle(t *testing.T) {
	w := newWorld(t)
	good, secret := w.encrypt([]byte("secret")), []byte("secret")
	bad := map[string][]byte{
		"random": bytes.Repeat([]byte{0x55}, 256), "zero": make([]byte, 256), "ones": bytes.Repeat([]byte{0xff}, 256),
		"short": make([]byte, 255), "long": make([]byte, 257), "empty": nil, "another length": make([]byte, 5),
	}
	for _, answer := range []uint{0, pkcs11.CKR_DEVICE_ERROR, pkcs11.CKR_FUNCTION_FAILED, pkcs11.CKR_ENCRYPTED_DATA_INVALID} {
		f, r := newFaulty()
		f.decrypted = func(plain []byte, err error) ([]byte, error) {
			if err != nil && answer != 0 {
				err = pkcs11.Error(answer)
			}
			return plain, err
		}
		k := w.openFaulty(t, r, Options{})
		key := k.signing(t, alice).Key.(crypto.Decrypter)
		if got, err := key.Decrypt(nil, good, pkcs1); err != nil || !bytes.Equal(got, secret) {
			t.Errorf("%q, %v", got, err)
		}
		for name, c := range bad {
			if got, err := key.Decrypt(nil, c, pkcs1); err == nil || err.Error() != "decryption failed" || errors.Is(err, cms.ErrDevice) || got != nil {
				t.Errorf("%s answered %v: %q, %v", name, pkcs11.Error(answer), got, err)
			}
		}
		if _, err := key.Decrypt(nil, good, &rsa.OAEPOptions{Hash: crypto.SHA1}); err == nil || err.Error() != "decryption failed" {
			t.Errorf("not OAEP: %v", err)
		}
		for _, c := range [][]byte{good, bad["random"]} {
			f.fails("Decrypt", pkcs11.CKR_DEVICE_MEMORY, pkcs11.CKR_DEVICE_MEMORY)
			if _, err := key.Decrypt(nil, c, pkcs1); !errors.Is(err, cms.ErrDevice) {
				t.Errorf("a device that failed: %v", err)
			}
			f.fails("GetSessionInfo", pkcs11.CKR_SESSION_CLOSED, pkcs11.CKR_SESSION_CLOSED)
			if _, err := key.Decrypt(nil, c, pkcs1); !errors.Is(err, cms.ErrDevice) {
				t.Errorf("a device that was taken out in the act: %v", err)
			}
			f.fails("GetSessionInfo")
		}
		k.close(t)
	}
}

// Algorithms that the token does not know are no failure of it.
func TestUnsupported(t *testing.T) {
	w := newWorld(t)
	_, r := newFaulty()
	key := w.openFaulty(t, r, Options{}).signing(t, alice).Key.(crypto.Decrypter)
	for name, o := range map[string]crypto.DecrypterOpts{
		"none": nil, "hash": &rsa.OAEPOptions{Hash: crypto.MD5},
		// What is tested.
		"session key": &rsa.PKCS1v15DecryptOptions{SessionKeyLen: 32},
		"OAEP":        &rsa.OAEPOptions{Hash: crypto.SHA256}, // not by SoftHSM 2.6
	} {
		if _, err := key.Decrypt(nil, make([]byte, 256), o); !errors.Is(err, cms.ErrUnsupported) || errors.Is(err, cms.ErrDevice) {
			t.Errorf("%s: %v", name, err)
		}
	}
	public := w.certs[alice].PublicKey.(*rsa.PublicKey)
	c := testpki.Must(rsa.EncryptOAEP(crypto.SHA1.New(), rand.Reader, public, []byte("secret"), nil))
	if got, err := key.Decrypt(nil, c, &rsa.OAEPOptions{Hash: crypto.SHA1}); err != nil || string(got) != "secret" {
		t.Errorf("OAEP with SHA-1: %q, %v", got, err)
	}
}
