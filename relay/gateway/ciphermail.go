package gateway

import (
	"fmt"
	"slices"
	"strings"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/message"
)

// cipherMailNames are the beginnings of the names of the fields in which CipherMail
// gateways, now and before, say what they found.
var cipherMailNames = []string{"X-CipherMail-Info-", "X-Djigzo-Info-"}

// maxCipherMailSigners is how many signers the fields name.
const maxCipherMailSigners = 16

// ofCipherMail reports whether a field could be taken for one of CipherMail's.
func ofCipherMail(f message.Field) bool {
	name := strings.ToLower(f.Name)
	return slices.ContainsFunc(cipherMailNames, func(s string) bool { return strings.HasPrefix(name, strings.ToLower(s)) })
}

// cipherMailFields returns the fields that a CipherMail gateway would write, as filters
// and help desks read them: docs/filters.md has the names. LEVEL is the index of a layer,
// outermost first, and INDEX that of a signer in it. Only the signers of a message that
// passed are verified and trusted: a reader that looks at one field must not find more
// than the status says.
func cipherMailFields(prefix string, o *opened) ([]message.Field, error) {
	r := &o.Report
	var fields []message.Field
	var failed error
	add := func(name, value string) {
		f, err := message.NewField(prefix+"-"+name, ascii(value))
		if err != nil && failed == nil {
			failed = err
		}
		fields = append(fields, f)
	}
	if isSignedReport(r) {
		add("SMIME-Signed", "True")
	}
	if r.Encryption != nil || o.encrypted {
		add("SMIME-Encrypted", "True")
	}
	if r.Reason == smime.ReasonNoKey {
		add("SMIME-Decryption-Key-Not-Found", "True")
	}
	if level := slices.Index(r.Layers, "enveloped"); level >= 0 && r.Encryption != nil {
		add(fmt.Sprintf("Encryption-Algorithm-%d", level), string(r.Encryption.Cipher))
	}
	if r.Reason == certs.WrongAddress {
		add("Signer-Mismatch", "True")
	}
	index := make(map[int]int)
	for i := range r.Signers[:min(len(r.Signers), maxCipherMailSigners)] {
		s := &r.Signers[i]
		addSigner(add, fmt.Sprintf("-%d-%d", index[s.Layer], s.Layer), s, r)
		index[s.Layer]++
	}
	return fields, failed
}

// addSigner adds the fields of one signer; at is its INDEX and LEVEL.
func addSigner(add func(name, value string), at string, s *smime.Signer, r *smime.Report) {
	add("Signer-ID"+at, s.Issuer+"/"+strings.ToUpper(s.Serial))
	if len(s.Addresses) > 0 {
		add("Signer-Email"+at, strings.Join(s.Addresses, ", "))
	}
	if s.Result == certs.Pass && r.Result == certs.Pass {
		add("Signer-Verified"+at, "True")
		add("Signer-Trusted"+at, "True")
		return
	}
	reason := string(s.Reason)
	if reason == "" {
		reason = string(r.Reason)
	}
	add("Signer-Verified"+at, "False")
	add("Signer-Verification-Info"+at, or(reason, word(r.Result)))
	add("Signer-Trusted"+at, "False")
	add("Signer-Trusted-Info"+at, or(reason, word(r.Result)))
}

// isSignedReport reports whether a message was signed.
func isSignedReport(r *smime.Report) bool {
	return slices.Contains(r.Layers, "signed") || len(r.Signers) > 0
}
