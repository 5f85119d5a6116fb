package service

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/smime/address"
)

// enrolmentConfig orders from a program, in a folder of the test.
const enrolmentConfig = `
[expiry]
mail_to = ["admin@example.org"]
[[enrolment]]
name = "corp"
from = "command"
command = ["%DIR%/order"]
addresses = ["example.org"]
[[rule]]
name = "issue"
recipient = ["issue.example"]
sign = "require"
encrypt = "never"
issue = true
`

// orderScript certifies with openssl, but for an address that it refuses and one that it
// makes wait until a file is there.
const orderScript = `#!/bin/sh
cd %DIR%/ca
cat > $$.json
grep -q refused@ $$.json && { echo not an employee >&2; exit 1; }
grep -q later@ $$.json && [ ! -e now ] && exit 0
sed 's/.*"csr":"\([^"]*\)".*/\1/; s/\\n/\
/g' $$.json > $$.pem
[ -e ca.pem ] || openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -subj /CN=Corp -days 30 2>/dev/null
exec openssl x509 -req -in $$.pem -CA ca.pem -CAkey ca.key -CAcreateserial -copy_extensions copy -days 90 2>/dev/null
`

const toldOrders = "S/MIME certificates could not be obtained"

// TestEnrolmentByProgram: the first message is signed with a certificate that no one
// fetched; one that takes its time signs when it is there; a refusal is reported once.
func TestEnrolmentByProgram(t *testing.T) {
	before, after, _ := strings.Cut(storedConfig, "[[rule]]")
	w := startWorld(t, before+enrolmentConfig+"[[rule]]"+after)
	if err := os.Mkdir(filepath.Join(w.dir, "ca"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(w.dir, "order"), []byte(strings.ReplaceAll(orderScript, "%DIR%", w.dir)), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := w.sendFrom("new@example.org"); err != nil {
		t.Fatal(err)
	}
	w.hop.wait(t, 1)
	s := w.open(w.storeFile())
	if id := signing(t, s, "new@example.org"); id == nil || id.Certificate.Issuer.CommonName != "Corp" {
		t.Fatalf("%v", id)
	}
	if err := w.sendFrom("later@example.org"); replyCode(err) != 451 {
		t.Errorf("without a certificate: %v", err)
	}
	w.log.wait(t, "identity not there yet")
	if err := os.WriteFile(filepath.Join(w.dir, "ca", "now"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w.advance(time.Minute)
	w.log.waitCount(t, "msg=\"identity issued\"", 2)
	if err := w.sendFrom("later@example.org"); err != nil {
		t.Errorf("with a certificate: %v", err)
	}
	for range 2 {
		if err := w.sendFrom("refused@example.org"); replyCode(err) != 451 {
			t.Errorf("refused: %v", err)
		}
	}
	w.log.wait(t, "not an employee")
	if got := w.hop.wait(t, 3); got[toldOrders] == 0 {
		t.Errorf("arrived: %v", got)
	}
	orders, err := s.Orders(t.Context(), store.OrderQuery{})
	if err != nil || len(orders) != 3 {
		t.Errorf("%d orders, %v", len(orders), err)
	}
	w.stop()
	w.run()
	w.log.waitCount(t, "msg=serving", 2)
	if err := w.sendFrom("new@example.org"); err != nil {
		t.Errorf("after a restart: %v", err)
	}
	if n := strings.Count(w.log.String(), "msg=\"certificate ordered\""); n != 3 {
		t.Errorf("%d certificates were ordered", n)
	}
	w.stop()
	if w.hop.got[toldOrders] != 1 {
		t.Errorf("reported %d times", w.hop.got[toldOrders])
	}
}

// slowConfig has a table before the other, whose program hangs.
const slowConfig = `
[[enrolment]]
name = "slow"
from = "command"
command = ["%DIR%/slow"]
addresses = ["slow@example.org"]
on = "always"
`

// TestHangingProvider: a provider that hangs keeps the orders of another table from nothing.
func TestHangingProvider(t *testing.T) {
	before, after, _ := strings.Cut(storedConfig, "[[rule]]")
	w := startWorld(t, before+slowConfig+enrolmentConfig+"[[rule]]"+after)
	if err := os.Mkdir(filepath.Join(w.dir, "ca"), 0o700); err != nil {
		t.Fatal(err)
	}
	pipe := filepath.Join(w.dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, script := range map[string]string{"order": orderScript, "slow": "#!/bin/sh\nexec cat " + pipe + "\n"} {
		if err := os.WriteFile(filepath.Join(w.dir, name), []byte(strings.ReplaceAll(script, "%DIR%", w.dir)), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	// Only a program that reads lets this go on.
	hung, err := os.OpenFile(pipe, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.sendFrom("later@example.org"); replyCode(err) != 451 {
		t.Errorf("without a certificate: %v", err)
	}
	if err := os.WriteFile(filepath.Join(w.dir, "ca", "now"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w.advance(time.Minute)
	w.log.wait(t, "msg=\"identity issued\" address=later@example.org")
	if strings.Contains(w.log.String(), "msg=\"certificate order failed\" address=slow@example.org") {
		t.Error("the program did not hang")
	}
	if err := hung.Close(); err != nil {
		t.Error(err)
	}
	w.stop()
}

func signing(t *testing.T, s *store.Store, text string) *certs.Identity {
	t.Helper()
	a, err := address.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	id, err := s.Keys().Signing(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	return id
}
