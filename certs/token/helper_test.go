package token

import (
	"context"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/token/contract"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/address"
)

// behaviour names in the environment how this program, run as a helper, behaves; folder
// names where its keys and traces are.
const (
	behaviour = "SMIMERELAY_TEST_BEHAVIOUR"
	folder    = "SMIMERELAY_TEST_FOLDER"
)

// TestMain is also the helper.
func TestMain(m *testing.M) {
	if how := os.Getenv(behaviour); how != "" {
		os.Exit(behave(how, os.Getenv(folder)))
	}
	goleak.VerifyTestMain(m)
}

// behave is a helper that behaves in one way.
func behave(how, dir string) int {
	trace(dir, "start")
	switch how {
	case "ends":
		return 1
	case "garbage":
		for {
			if _, err := os.Stdout.Write([]byte(strings.Repeat("garbage ", 1000))); err != nil {
				return 1
			}
		}
	case "noise":
		for range 1000 {
			fmt.Fprintln(os.Stderr, strings.Repeat("noise ", 1000))
		}
	case "deaf":
		select {}
	}
	if os.Getenv("NOTIFY_SOCKET") != "" || len(os.Args) > 1 {
		trace(dir, "environment")
	}
	h := softHolder{how: how, dir: dir, stop: make(chan struct{})}
	if err := contract.Serve(os.Stdin, os.Stdout, func(string) (contract.Holder, error) { return h, nil }); err != nil {
		return 1
	}
	if how == "lingers" {
		<-h.stop
	}
	return 0
}

// trace leaves a trace in dir, for the test to count.
func trace(dir, what string) {
	f, err := os.CreateTemp(dir, what+".")
	if err == nil {
		f.Close()
	}
}

// traces counts them.
func traces(dir, what string) int {
	found, _ := filepath.Glob(filepath.Join(dir, what+".*"))
	return len(found)
}

// softHolder has two keys in files of dir.
type softHolder struct {
	how, dir string
	stop     chan struct{}
}

const (
	rsaName = "rsa"
	ecName  = "ec"
)

func (h softHolder) key(name string) crypto.Signer {
	der := testpki.Must(os.ReadFile(filepath.Join(h.dir, name+".key")))
	return testpki.Must(x509.ParsePKCS8PrivateKey(der)).(crypto.Signer)
}

// List implements contract.Holder.
func (h softHolder) List() (contract.Inventory, error) {
	switch h.how {
	case "wrong PIN":
		return contract.Inventory{}, contract.Errorf(contract.WrongPIN, "it refuses the PIN")
	case "away":
		return contract.Inventory{}, contract.Errorf(contract.Unavailable, "no token")
	case "empty":
		return contract.Inventory{}, nil
	}
	held := contract.Inventory{Certificates: [][]byte{[]byte("no certificate")}}
	for _, name := range []string{rsaName, ecName} {
		public := testpki.Must(x509.MarshalPKIXPublicKey(h.key(name).Public()))
		held.Keys = append(held.Keys, contract.Key{Name: name, Label: name, Public: public})
		held.Certificates = append(held.Certificates, testpki.Must(os.ReadFile(filepath.Join(h.dir, name+".cer"))))
	}
	made := testpki.Must(filepath.Glob(filepath.Join(h.dir, "made-*.key")))
	for _, file := range made {
		name := strings.TrimSuffix(filepath.Base(file), ".key")
		held.Keys = append(held.Keys, contract.Key{Name: name, Label: name, Public: testpki.Must(x509.MarshalPKIXPublicKey(h.key(name).Public()))})
	}
	held.Keys = append(held.Keys, contract.Key{Name: "x", Label: strings.Repeat("\x1b", 1000), Public: []byte("none")})
	return held, nil
}

// Ready implements contract.Holder.
func (h softHolder) Ready(string) error {
	if h.how == "not ready" {
		return contract.Errorf("a kind of its own", "taken out")
	}
	return nil
}

// Sign implements contract.Holder.
func (h softHolder) Sign(name string, a contract.Algorithm, digest []byte) ([]byte, error) {
	trace(h.dir, "sign")
	switch {
	case h.how == "crashes", h.how == "crashes once" && h.first():
		os.Exit(2)
	case h.how == "hangs once" && h.first():
		<-h.stop
	case h.how == "wrong":
		return []byte("a signature"), nil
	}
	var o crypto.SignerOpts = contract.HashOf(a.Hash)
	if a.Scheme == contract.RSAPSS {
		o = &rsa.PSSOptions{Hash: contract.HashOf(a.Hash), SaltLength: a.Salt}
	}
	return h.key(name).Sign(rand.Reader, digest, o)
}

// first is true once, for all requests at once and all processes in dir.
func (h softHolder) first() bool {
	f, err := os.OpenFile(filepath.Join(h.dir, "first"), os.O_CREATE|os.O_EXCL, 0o600)
	return err == nil && f.Close() == nil
}

// Decrypt implements contract.Holder.
func (h softHolder) Decrypt(name string, a contract.Algorithm, ciphertext []byte) ([]byte, error) {
	if h.how == "wrong" {
		return make([]byte, 4096), nil
	}
	var o crypto.DecrypterOpts = &rsa.PKCS1v15DecryptOptions{}
	if a.Scheme == contract.RSAOAEP {
		o = &rsa.OAEPOptions{Hash: contract.HashOf(a.Hash), MGFHash: contract.HashOf(a.MaskHash), Label: a.Label}
	}
	plain, err := h.key(name).(crypto.Decrypter).Decrypt(nil, ciphertext, o)
	if err != nil {
		return nil, contract.Errorf(contract.Undecryptable, "%w", err)
	}
	return plain, nil
}

// Derive implements contract.Holder.
func (h softHolder) Derive(name string, _ contract.Algorithm, point []byte) ([]byte, error) {
	if h.how == "wrong" {
		return nil, nil
	}
	private := testpki.Must(h.key(name).(*ecdsa.PrivateKey).ECDH())
	public, err := ecdh.P256().NewPublicKey(point)
	if err != nil {
		return nil, err
	}
	secret, err := private.ECDH(public)
	return new(big.Int).SetBytes(secret).Bytes(), err // without zeros before it, as some tokens
}

// Generate implements contract.Holder: the key is in a file that is named by its identifier.
func (h softHolder) Generate(kind contract.Scheme, id, label []byte) (contract.Key, error) {
	switch {
	case h.how == "full":
		return contract.Key{}, contract.Errorf(contract.Refused, "full")
	case h.how == "wrong":
		kind = contract.P384
	}
	name := fmt.Sprintf("made-%x", id)
	file := filepath.Join(h.dir, name+".key")
	if _, err := os.Stat(file); err != nil {
		trace(h.dir, "made")
		key := testpki.Must(ecdsa.GenerateKey(kind.Curve(), rand.Reader))
		if err := os.WriteFile(file, testpki.Must(x509.MarshalPKCS8PrivateKey(key)), 0o600); err != nil {
			return contract.Key{}, err
		}
	}
	if h.how == "dies after making" && h.first() {
		os.Exit(2)
	}
	return contract.Key{Name: name, Label: string(label), Public: testpki.Must(x509.MarshalPKIXPublicKey(h.key(name).Public()))}, nil
}

// world is a helper with two keys and what the gateway has of it.
type world struct {
	dir   string
	certs map[string]*x509.Certificate // by name of the key
	log   *journal

	mu    sync.Mutex
	now   time.Time
	count map[string]int
}

// identities are those of the two keys.
var identities = sync.OnceValue(func() map[string]*testpki.Identity {
	ca, ids := testpki.Must(testpki.NewCA(testpki.Options{})), map[string]*testpki.Identity{}
	for name, kind := range map[string]string{rsaName: "rsa2048", ecName: "p256"} {
		ids[name] = testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{name + "@example.org"}, Key: kind}))
	}
	return ids
})

func newWorld(t *testing.T, how string) *world {
	t.Helper()
	w := &world{dir: t.TempDir(), certs: map[string]*x509.Certificate{}, log: &journal{}, now: time.Now(), count: map[string]int{}}
	for name, id := range identities() {
		w.certs[name] = id.Certificate
		must(t, os.WriteFile(filepath.Join(w.dir, name+".key"), testpki.Must(x509.MarshalPKCS8PrivateKey(id.Key)), 0o600))
		must(t, os.WriteFile(filepath.Join(w.dir, name+".cer"), id.Certificate.Raw, 0o600))
	}
	t.Setenv(behaviour, how)
	t.Setenv(folder, w.dir)
	t.Setenv("NOTIFY_SOCKET", "/run/systemd/notify")
	return w
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) advance(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) counted(what string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.count[what]
}

// config is that of a token whose helper is this program.
func (w *world) config() Config {
	return Config{
		Token: "pkcs11:token=soft?module-path=/x&pin-source=file:" + filepath.Join(w.dir, "pin"), Helper: testpki.Must(os.Executable()),
		Clock: w.clock, Log: w.log.logger(), Count: func(token, operation, result string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.count[operation+" "+result]++
			if token != "soft" {
				w.count["a wrong name"]++
			}
		},
	}
}

func (w *world) open(t *testing.T, c Config) *Keys {
	t.Helper()
	k, err := Open(c)
	must(t, err)
	t.Cleanup(k.Close)
	return k
}

// identity returns the identity with the key of a name.
func (k *Keys) identity(t *testing.T, name string) *certs.Identity {
	t.Helper()
	id, err := k.Signing(context.Background(), testpki.Must(address.Parse(name+"@example.org")))
	must(t, err)
	if id == nil {
		t.Fatalf("no identity for %s", name)
	}
	return id
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// journal keeps the log.
type journal struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write implements io.Writer.
func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(b)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

func (j *journal) logger() *slog.Logger { return slog.New(slog.NewTextHandler(j, nil)) }
