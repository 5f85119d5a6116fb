package gateway

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/message"
)

func cipherMailWorld(t *testing.T, prefix string) *world {
	t.Helper()
	w := newWorld(t)
	w.config.Inbound.CipherMail = prefix
	w.start()
	return w
}

// cipherMailOf are the fields of a message with one of the names, in order; what differs
// between two runs is replaced.
func cipherMailOf(m *message.Message) []string {
	var all []string
	for _, f := range m.Fields() {
		if !strings.Contains(strings.ToLower(f.Name), "-info-") {
			continue
		}
		value := f.Value()
		if strings.Contains(f.Name, "Signer-ID") && strings.HasPrefix(value, "CN=Test CA/") {
			value = "ID"
		}
		all = append(all, f.Name+": "+strings.TrimSpace(value))
	}
	return all
}

func TestCipherMailFields(t *testing.T) {
	w := cipherMailWorld(t, "X-CipherMail-Info")
	const p = "X-CipherMail-Info-"
	passed := func(level string) []string {
		return []string{p + "Signer-ID-0-" + level + ": ID", p + "Signer-Email-0-" + level + ": bob@enc.example", p + "Signer-Verified-0-" + level + ": True", p + "Signer-Trusted-0-" + level + ": True"}
	}
	failed := func(reason string) []string {
		return []string{
			p + "Signer-ID-0-0: ID", p + "Signer-Email-0-0: bob@enc.example", p + "Signer-Verified-0-0: False", p + "Signer-Verification-Info-0-0: " + reason,
			p + "Signer-Trusted-0-0: False", p + "Signer-Trusted-Info-0-0: " + reason,
		}
	}
	signed := []string{p + "SMIME-Signed: True"}
	encrypted := []string{p + "SMIME-Encrypted: True", p + "Encryption-Algorithm-0: aes-256-cbc"}
	other := testpki.Must(w.bobsLetter("").Apply(message.Change{Remove: message.Named("From"), Prepend: []message.Field{message.RawField("From", "eve@enc.example")}}))
	forCarol := testpki.Must(smime.Encrypt(w.bobsLetter(""), w.dir.results[carol].Certificates, smime.EncryptOptions{}))
	for name, tt := range map[string]struct {
		message *message.Message
		want    []string
	}{
		"plain":         {parseMessage(t, "From: x@y.example\n\nhello\n"), nil},
		"signed":        {w.bobsLetter(""), append(signed, passed("0")...)},
		"both":          {w.toAlice(w.bobsLetter("")), append(append(signed, encrypted...), passed("1")...)},
		"changed":       {w.changed(), append(signed, failed("content-changed")...)},
		"another's":     {other, append(append(signed, p+"Signer-Mismatch: True"), failed("wrong-address")...)},
		"for no one":    {forCarol, []string{p + "SMIME-Encrypted: True", p + "SMIME-Decryption-Key-Not-Found: True", encrypted[1]}},
		"forged":        {parseMessage(t, "From: x@y.example\n"+p+"Signer-Verified-0-0: True\n\nhello\n"), nil},
		"forged, other": {parseMessage(t, "From: x@y.example\nx-djigzo-INFO-smime-signed :\n True\n\nhello\n"), nil},
		"forged inside": {w.toAlice(parseMessage(t, "From: x@y.example\n"+p+"SMIME-Signed: True\n\nhello\n")), encrypted},
	} {
		if diff := cmp.Diff(tt.want, cipherMailOf(w.receive(tt.message))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// A signer who passed is no reason to call a message verified that did not: here some
// readers show what another signed.
func TestCipherMailFieldsOfNestedSignatures(t *testing.T) {
	w := cipherMailWorld(t, "X-Djigzo-Info")
	carols := testpki.Must(w.theirs.Signing(t.Context(), w.addr(carol)))
	got := w.receive(testpki.Must(smime.Sign(w.bobsLetter(""), carols, smime.SignOptions{Time: time.Now()})))
	fields := strings.Join(cipherMailOf(got), "\n")
	if statusWord(got) != "policy" || strings.Count(fields, ": False") != 4 || strings.Contains(fields, "Signer-Verified-0-0: True") || strings.Contains(fields, "X-CipherMail") ||
		!strings.Contains(fields, "X-Djigzo-Info-Signer-Verification-Info-0-1: nested-signatures") {
		t.Errorf("%s, with\n%s", got.Get(statusField), fields)
	}
}

func TestWithoutCipherMailFields(t *testing.T) {
	const forgery = "X-CipherMail-Info-SMIME-Signed: True"
	w := newWorld(t)
	if got := cipherMailOf(w.receive(parseMessage(t, "From: x@y.example\n"+forgery+"\n\nhello\n"))); len(got) != 1 || got[0] != forgery {
		t.Errorf("a field of no meaning to the gateway: %q", got)
	}
	w = cipherMailWorld(t, "X-CipherMail-Info")
	o, err := w.process(w.envelope("out", "alice@own.example", "x@elsewhere.example"), parseMessage(t, "From: alice@own.example\n"+forgery+"\n\nhello\n"))
	if err != nil || len(o.Deliveries) != 1 || len(cipherMailOf(o.Deliveries[0].Message)) != 0 {
		t.Errorf("outbound: %v", err)
	}
}
