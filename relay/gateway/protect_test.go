package gateway

import (
	"crypto/x509"
	"slices"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// TestTripleWrap: what is signed and encrypted is signed again, and passes at a reader.
func TestTripleWrap(t *testing.T) {
	for _, p := range []Profile{{Wrap: "triple"}, {Wrap: "triple", Opaque: true}, {Wrap: "triple", ProtectEncrypted: true}} {
		w := newWorld(t)
		w.config.Profiles = map[string]Profile{enforce.DefaultProfile: p}
		w.start()
		o, err := w.send(bob)
		if err != nil {
			t.Fatal(err)
		}
		m := o.Deliveries[0].Message
		if !leavesSigned(m) || strings.Contains(string(m.Bytes()), text) {
			t.Fatalf("%+v: leaves as\n%s", p, m.Bytes())
		}
		if r := w.read(m).Report; r.Result != certs.Pass || strings.Join(r.Layers, " ") != "signed enveloped signed" {
			t.Errorf("%+v: %s %s %s, layers %v", p, r.Result, r.Reason, r.Detail, r.Layers)
		}
		// What is only signed or only encrypted stays so.
		if o, err = w.send("x@sign.example"); err != nil || strings.Join(w.read(o.Deliveries[0].Message).Report.Layers, " ") != "signed" {
			t.Errorf("%+v: only signed: %v", p, err)
		}
	}
}

// TestRecipientIdentifier: recipients are named by their key identifiers.
func TestRecipientIdentifier(t *testing.T) {
	for _, ski := range []bool{false, true} {
		w := newWorld(t)
		p := Profile{RecipientIdentifier: "issuer"}
		if ski {
			p.RecipientIdentifier = "ski"
		}
		w.config.Profiles = map[string]Profile{enforce.DefaultProfile: p}
		w.start()
		o, err := w.send(bob)
		if err != nil {
			t.Fatal(err)
		}
		m := o.Deliveries[0].Message
		if readers := smime.Inspect(m).Readers; len(readers) != 1 || len(readers[0].SubjectKeyID) > 0 != ski {
			t.Errorf("%s: readers %+v", p.RecipientIdentifier, readers)
		}
		if w.read(m).Message == nil {
			t.Errorf("%s: not read", p.RecipientIdentifier)
		}
	}
}

// TestOmitAttributes: the words of a profile are those of the engine.
func TestOmitAttributes(t *testing.T) {
	p := Profile{OmitAttributes: []string{"signing-certificate", "algorithm-protection", "capabilities", "encryption-certificate"}}
	if got := p.omitted(); got != (smime.OmitAttributes{SigningCertificate: true, AlgorithmProtection: true, Capabilities: true, EncryptionCertificate: true}) {
		t.Errorf("%+v", got)
	}
	if got := (Profile{}).omitted(); got != (smime.OmitAttributes{}) {
		t.Errorf("%+v", got)
	}
}

// TestIncludeRoot: the root that is a trust anchor leaves with the chain where the profile
// says so.
func TestIncludeRoot(t *testing.T) {
	for _, include := range []bool{false, true} {
		w := newWorld(t)
		w.config.Profiles = map[string]Profile{enforce.DefaultProfile: {Opaque: true, IncludeRoot: include}}
		w.config.Policy = mustCompile(t, enforce.Rule{Name: "default", Sign: "require", Encrypt: "never", Profile: enforce.DefaultProfile})
		w.config.Roots = []*x509.Certificate{w.ca.Root}
		w.start()
		o, err := w.send(bob)
		if err != nil {
			t.Fatal(err)
		}
		object, err := o.Deliveries[0].Message.Root().Decode()
		if err != nil {
			t.Fatal(err)
		}
		signed, err := cms.ParseSignedData(object)
		if err != nil {
			t.Fatal(err)
		}
		if got := slices.ContainsFunc(signed.Certificates, w.ca.Root.Equal); got != include {
			t.Errorf("include_root = %v: the root is there: %v", include, got)
		}
	}
}
