//go:build cgo

package softhsmtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/miekg/pkcs11"
)

// Module is SoftHSM as Debian installs it.
const Module = "/usr/lib/softhsm/libsofthsm2.so"

// Token is a token in a folder of its own.
type Token struct {
	Label, PIN string
	// PINFile holds the PIN, and only its owner may read it.
	PINFile string
	// Folder is what the module keeps the token in.
	Folder string
}

// New makes an empty token, and lets this process's environment point to it:
// what loads the module later finds it. A process can have one at a time.
func New(t testing.TB) *Token {
	t.Helper()
	dir := t.TempDir()
	k := &Token{Label: "smimerelay test", PIN: "274831", PINFile: filepath.Join(dir, "pin"), Folder: filepath.Join(dir, "tokens")}
	conf := filepath.Join(dir, "softhsm2.conf")
	must(t, os.Mkdir(k.Folder, 0o700))
	must(t, os.WriteFile(k.PINFile, []byte(k.PIN+"\n"), 0o600))
	settings := fmt.Sprintf("directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n", k.Folder)
	must(t, os.WriteFile(conf, []byte(settings), 0o600))
	t.Setenv("SOFTHSM2_CONF", conf)
	out, err := exec.Command("softhsm2-util", "--init-token", "--free", "--label", k.Label, "--so-pin", "5678", "--pin", k.PIN).CombinedOutput()
	if err != nil {
		t.Fatalf("softhsm2-util: %v (apt-get install softhsm2, or run make test as root)\n%s", err, out)
	}
	return k
}

// URI names the token, with more attributes of the path, such as ";object=x".
func (k *Token) URI(more string) string {
	return "pkcs11:token=smimerelay%20test" + more + "?module-path=" + Module + "&pin-source=file:" + k.PINFile
}

// Session is an open session that is logged in.
type Session struct {
	*pkcs11.Ctx
	pkcs11.SessionHandle
	t testing.TB
}

// Do opens a session for f. No other goroutine of this process may be using the module.
func (k *Token) Do(t testing.TB, f func(*Session)) {
	t.Helper()
	module := pkcs11.New(Module)
	if module == nil {
		t.Fatalf("%s cannot be loaded: apt-get install softhsm2, or run make test as root", Module)
	}
	defer module.Destroy()
	must(t, module.Initialize())
	defer func() { must(t, module.Finalize()) }()
	handle, err := module.OpenSession(k.slot(t, module), pkcs11.CKF_SERIAL_SESSION|pkcs11.CKF_RW_SESSION)
	must(t, err)
	must(t, module.Login(handle, pkcs11.CKU_USER, k.PIN))
	f(&Session{module, handle, t})
}

// slot finds the token: SoftHSM also has a slot with a token that is not
// initialized.
func (k *Token) slot(t testing.TB, module *pkcs11.Ctx) uint {
	t.Helper()
	slots, err := module.GetSlotList(true)
	must(t, err)
	for _, s := range slots {
		info, err := module.GetTokenInfo(s)
		must(t, err)
		if info.Label == k.Label {
			return s
		}
	}
	t.Fatalf("no token %q in %d slots", k.Label, len(slots))
	return 0
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
