//go:build pkcs11

package hsm

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/miekg/pkcs11"
)

// module is SoftHSM as Debian installs it.
const module = "/usr/lib/softhsm/libsofthsm2.so"

// A token is a new SoftHSM token with one session that is logged in. The mutex
// is for the session: an operation takes two calls.
type token struct {
	mu      sync.Mutex
	module  *pkcs11.Ctx
	session pkcs11.SessionHandle
}

// newToken makes a token in a folder of its own. A process can have one at a
// time.
func newToken(t *testing.T) *token {
	t.Helper()
	const label, pin = "smimerelay", "1234"
	initToken(t, label, pin)
	k := &token{module: pkcs11.New(module)}
	if k.module == nil {
		t.Fatalf("%s cannot be loaded: apt-get install softhsm2, or run make test as root", module)
	}
	t.Cleanup(k.module.Destroy)
	must(t, k.module.Initialize())
	t.Cleanup(func() { must(t, k.module.Finalize()) })
	slot, err := k.slot(label)
	must(t, err)
	k.session, err = k.module.OpenSession(slot, pkcs11.CKF_SERIAL_SESSION|pkcs11.CKF_RW_SESSION)
	must(t, err)
	must(t, k.module.Login(k.session, pkcs11.CKU_USER, pin))
	return k
}

// initToken has softhsm2-util write the token, and points the module at it.
func initToken(t *testing.T, label, pin string) {
	t.Helper()
	dir := t.TempDir()
	tokens, conf := filepath.Join(dir, "tokens"), filepath.Join(dir, "softhsm2.conf")
	must(t, os.Mkdir(tokens, 0o700))
	settings := fmt.Sprintf("directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n", tokens)
	must(t, os.WriteFile(conf, []byte(settings), 0o600))
	t.Setenv("SOFTHSM2_CONF", conf)
	out, err := exec.Command("softhsm2-util", "--init-token", "--free", "--label", label, "--so-pin", "5678", "--pin", pin).CombinedOutput()
	if err != nil {
		t.Fatalf("softhsm2-util: %v (apt-get install softhsm2, or run make test as root)\n%s", err, out)
	}
}

// slot finds the token: SoftHSM also has a slot with a token that is not
// initialized.
func (k *token) slot(label string) (uint, error) {
	slots, err := k.module.GetSlotList(true)
	if err != nil {
		return 0, err
	}
	for _, s := range slots {
		info, err := k.module.GetTokenInfo(s)
		if err != nil {
			return 0, err
		}
		if info.Label == label {
			return s, nil
		}
	}
	return 0, fmt.Errorf("no token %q in %d slots", label, len(slots))
}

// sign signs with a private key of the token.
func (k *token) sign(key pkcs11.ObjectHandle, m *pkcs11.Mechanism, data []byte) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.module.SignInit(k.session, []*pkcs11.Mechanism{m}, key); err != nil {
		return nil, err
	}
	return k.module.Sign(k.session, data)
}

// decrypt decrypts with a private key of the token.
func (k *token) decrypt(key pkcs11.ObjectHandle, m *pkcs11.Mechanism, data []byte) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.module.DecryptInit(k.session, []*pkcs11.Mechanism{m}, key); err != nil {
		return nil, err
	}
	return k.module.Decrypt(k.session, data)
}

// derive derives a secret of size octets and takes it out of the token.
func (k *token) derive(key pkcs11.ObjectHandle, m *pkcs11.Mechanism, size int) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	secret, err := k.module.DeriveKey(k.session, []*pkcs11.Mechanism{m}, key, []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY),
		pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_GENERIC_SECRET),
		pkcs11.NewAttribute(pkcs11.CKA_TOKEN, false),
		pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, false),
		pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, true),
		pkcs11.NewAttribute(pkcs11.CKA_VALUE_LEN, size),
	})
	if err != nil {
		return nil, err
	}
	value, err := k.attributes(secret, pkcs11.CKA_VALUE)
	if err != nil {
		return nil, err
	}
	return value[0], k.module.DestroyObject(k.session, secret)
}

// attributes reads attributes of an object.
func (k *token) attributes(o pkcs11.ObjectHandle, types ...uint) ([][]byte, error) {
	var template []*pkcs11.Attribute
	for _, t := range types {
		template = append(template, pkcs11.NewAttribute(t, nil))
	}
	found, err := k.module.GetAttributeValue(k.session, o, template)
	if err != nil {
		return nil, err
	}
	var values [][]byte
	for _, a := range found {
		values = append(values, a.Value)
	}
	return values, nil
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
