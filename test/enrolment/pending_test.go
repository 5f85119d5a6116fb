package enrolment

import (
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/test/rig"
)

// pending is a SCEP server that does not decide at once. Bouncy Castle reads what comes and writes the answers.
type pending struct {
	t     *testing.T
	dir   string
	lines string
	certs []byte

	mu   sync.Mutex
	seen []string
}

func startPending(t *testing.T) *pending {
	t.Helper()
	ca := testpki.Must(testpki.NewCA(testpki.Options{Key: "rsa2048"}))
	ra := testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{"ra@ca.example"}, Key: "rsa2048"}))
	s := &pending{t: t, dir: t.TempDir(), certs: encoded(ra.Certificate, ca.Certificate)}
	for name, der := range map[string][]byte{"ca.der": ca.Certificate.Raw, "ra.der": ra.Certificate.Raw,
		"ca.key": testpki.Must(x509.MarshalPKCS8PrivateKey(ca.Key)), "ra.key": testpki.Must(x509.MarshalPKCS8PrivateKey(ra.Key))} {
		keep(t, filepath.Join(s.dir, name), string(der))
	}
	keep(t, s.dir+"/challenge", "the secret")
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	s.lines = fmt.Sprintf("url = %q\nca_fingerprint = %q\nra_fingerprint = %q\npassword_file = %q\nkey_type = \"rsa2048\"",
		h.URL+"/scep", sum(ca.Certificate), sum(ra.Certificate), s.dir+"/challenge")
	return s
}

func (s *pending) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.FormValue("operation") {
	case "GetCACaps":
		_, _ = io.WriteString(w, "AES\nSHA-256\nPOSTPKIOperation\nRenewal\n")
	case "GetCACert":
		w.Header().Set("Content-Type", "application/x-x509-ca-ra-cert")
		_, _ = w.Write(s.certs)
	case "PKIOperation":
		body, err := io.ReadAll(r.Body)
		if err == nil {
			body, err = s.answer(body)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/x-pki-message")
		_, _ = w.Write(body)
	}
}

// bouncyJars are those of Debian's libbcmail-java.
const bouncyJars = "/usr/share/java/bcprov.jar:/usr/share/java/bcpkix.jar:/usr/share/java/bcutil.jar:/usr/share/java/bcmail.jar"

// answer has the state of the server be in its folder.
func (s *pending) answer(in []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := os.WriteFile(s.dir+"/in.der", in, 0o600); err != nil {
		return nil, err
	}
	source := filepath.Join(rig.Root(s.t), "certs/enrol/scep/testdata/Scep.java")
	cmd := exec.CommandContext(s.t.Context(), "java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp", bouncyJars, source,
		"later", "ca.key", "ca.der", "ra.key", "ra.der", "in.der", "out.der", "the secret")
	cmd.Dir = s.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Errorf("Bouncy Castle: %v: %s", err, out)
		return nil, err
	}
	s.seen = append(s.seen, strings.TrimSpace(string(out)))
	return os.ReadFile(s.dir + "/out.der")
}

// kinds are the types of the messages that came.
func (s *pending) kinds() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.seen, " ")
}
