package smime

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/certs"
)

// The reasons are documented, each and no others.
func TestReasonsAreDocumented(t *testing.T) {
	doc, err := os.ReadFile("../docs/message-reasons.md")
	if err != nil {
		t.Fatal(err)
	}
	code, err := os.ReadFile("report.go")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\|").FindAllSubmatch(doc, -1) {
		documented[string(m[1])] = true
	}
	for _, m := range regexp.MustCompile(`(?m)^\tReason\w+ +certs.Reason += "([a-z-]+)"$`).FindAllSubmatch(code, -1) {
		if !documented[string(m[1])] {
			t.Errorf("%s is not documented", m[1])
		}
		delete(documented, string(m[1]))
	}
	for word := range documented {
		t.Errorf("%s is documented and not in use", word)
	}
}

// The object that `verify --json` prints has lists, never null, and the names
// that others rely on.
func TestReportJSON(t *testing.T) {
	w := newWorld(t)
	signed := w.sign(t, mail(t, text), w.alice, SignOptions{PSS: true})
	out, err := json.Marshal(w.open(encrypt(t, signed, EncryptOptions{Cipher: "aes-256-gcm"}, w.bob), w.bob).Report)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"result":"pass","reason":""`, `"layers":["enveloped","signed"]`, `"addresses":["alice@example.org"]`,
		`"digest":"sha-256"`, `"signature":"rsa-pss"`, `"chain":"trusted"`, `"signing_time":"` + w.now.UTC().Format("2006-01-02T15:04:05Z") + `"`,
		`"encryption":{"cipher":"aes-256-gcm","authenticated":true,"recipients":1}`,
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%s lacks %s", out, want)
		}
	}
	out, err = json.Marshal(w.open(mail(t, text)).Report)
	if want := `{"result":"none","reason":"","layers":[],"signers":[]}`; err != nil || string(out) != want {
		t.Errorf("%s, %v; want %s", out, err, want)
	}
}

// Of several signers the best speaks for the layer.
func TestBestSigner(t *testing.T) {
	for _, tt := range []struct {
		results []certs.Result
		want    certs.Result
	}{
		{nil, certs.PermError},
		{[]certs.Result{certs.Fail, certs.Pass}, certs.Pass},
		{[]certs.Result{certs.Pass, certs.PermError}, certs.Pass},
		{[]certs.Result{certs.Fail, certs.TempError, certs.PolicyNo}, certs.TempError},
		{[]certs.Result{certs.PermError, certs.Fail}, certs.Fail},
	} {
		var signers []Signer
		for _, r := range tt.results {
			signers = append(signers, Signer{Result: r})
		}
		if got := best(signers).Result; got != tt.want {
			t.Errorf("%v: %s, want %s", tt.results, got, tt.want)
		}
	}
}
