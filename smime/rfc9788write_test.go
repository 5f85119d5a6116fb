package smime

import (
	"slices"
	"strings"
	"testing"
)

// TestVectorsAreWritten: what the engine makes of the author's messages has the fields of the
// vectors that are protected by the policies that it has: outside, and in the payload.
func TestVectorsAreWritten(t *testing.T) {
	w := newWorld(t)
	alice := w.issue("alice@smime.example", "rsa2048")
	for _, v := range vectors {
		if v.scheme != hpScheme || v.policy == "shy" {
			continue
		}
		t.Run(v.name, func(t *testing.T) {
			m, o := parse(t, v.unprotected()), SignOptions{Headers: HeadersClear, Opaque: v.form != clearVector}
			if v.form == encryptedVector {
				if o.Headers = HeadersCipher; v.display {
					o.Headers = HeadersCipherDisplay
				}
			}
			sent := w.sign(t, m, alice, o)
			if v.form == encryptedVector {
				sent = encrypt(t, sent, EncryptOptions{}, w.bob)
			}
			for _, f := range v.outer() {
				if all := sent.All(f.name); len(all) != 1 || all[0] != f.value {
					t.Errorf("outside %s is %q, want %q", f.name, all, f.value)
				}
			}
			opened := w.open(sent, w.bob)
			payload := opened.payload
			if "; hp=\""+payload.Params["hp"]+"\"" != v.hp() {
				t.Errorf("hp is %q", payload.Params["hp"])
			}
			var got, want []string
			for _, f := range payload.Fields {
				if !f.Structural() {
					got = append(got, f.Name+": "+unfolded(f))
				}
			}
			for _, f := range parse(t, v.payload()).Fields() {
				if !f.Structural() {
					want = append(want, f.Name+": "+unfolded(f))
				}
			}
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("protected are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			if got := strings.Join(opened.Confidential(), " "); got != v.confidential() {
				t.Errorf("confidential is %q, want %q", got, v.confidential())
			}
			if v.display {
				checkDisplay(t, &v, string(payload.Bytes()))
			}
		})
	}
}

// checkDisplay: each text begins with what the vector's does.
func checkDisplay(t *testing.T, v *vector, payload string) {
	t.Helper()
	texts := 1
	if v.complex() {
		texts = 2
		if !strings.Contains(payload, `<div class="header-protection-legacy-display"><pre>`+strings.Join(v.hidden(), "\r\n")+"</pre></div>") {
			t.Errorf("the HTML has no legacy display:\n%s", payload)
		}
	}
	if !strings.Contains(payload, "\r\n\r\n"+strings.Join(v.hidden(), "\r\n")+"\r\n\r\nThis is the\r\n") || strings.Count(payload, "hp-legacy-display=1") != texts {
		t.Errorf("a text has no legacy display:\n%s", payload)
	}
}
