package dsn

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/fault"
)

// refusals are the sentences of package enforce about a recipient.
var refusals = regexp.MustCompile(`\.refuse\([^"\n]*(?:""|)[^"\n]*"([^"\n]{12,})`)

// TestEveryRefusalIsExplained: each sentence of the rules has an advice in each language, and
// in German none of it stays English.
func TestEveryRefusalIsExplained(t *testing.T) {
	files, err := filepath.Glob("../../enforce/*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		for _, m := range refusals.FindAllStringSubmatch(string(text), -1) {
			found++
			sentence := m[1]
			if sentence == "the message " {
				sentence = "the message must be signed, but cannot be: x"
			}
			sentence = strings.NewReplacer("%s%s", "team@example.org: no answer", "%q", `"rule"`, "%s", "x@example.org").Replace(sentence)
			if strings.HasSuffix(sentence, ": ") {
				sentence += "x"
			}
			for _, language := range languages() {
				texts, err := ReadTexts(language, nil)
				if err != nil {
					t.Fatal(err)
				}
				why, advice := texts.reasons.explain(sentence)
				if advice == "" || language == "de" && regexp.MustCompile(`\b(the|is|for|cannot)\b`).MatchString(why) {
					t.Errorf("%s: %q is %q, advice %q", language, sentence, why, advice)
				}
			}
		}
	}
	if found < 12 {
		t.Errorf("%d sentences found", found)
	}
}

// TestForPeople wants in the text which message it is about, why, what to do and whom to ask,
// all in German.
func TestForPeople(t *testing.T) {
	texts, err := ReadTexts("de", nil)
	if err != nil {
		t.Fatal(err)
	}
	r := sample(t)
	r.Texts, r.Subject, r.Contact, r.Date, r.MessageID = texts, "Angebot\r\nX: y", "https://hilfe.example.org", "Mon, 30 Nov 2026 10:00:00 +0100", "<1@x>"
	r.Recipients[0].RemoteMTA = ""
	r.Recipients[0].Reply = fault.Reply{Code: 550, Enhanced: [3]int{5, 7, 1}, Text: "no valid S/MIME certificate for bob@example.net: none found"}
	_, text, _, err := r.words()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Für bob@example.net gibt es kein gültiges S/MIME-Zertifikat: keines gefunden\n", "Was Sie tun können: Bitten Sie den Empfänger",
		"gesendet: Mon, 30 Nov 2026 10:00:00 +0100\nBetreff: Angebot  X: y\n", "Fragen: https://hilfe.example.org\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}

// The phrases of package directory about certificates are translated.
func TestPhrasesOfCertificates(t *testing.T) {
	text, err := os.ReadFile("../../directory/reason.go")
	if err != nil {
		t.Fatal(err)
	}
	de, err := ReadTexts("de", nil)
	if err != nil {
		t.Fatal(err)
	}
	phrases := regexp.MustCompile(`"([a-z][a-z ()]{3,}[a-z)]) ?"`).FindAllStringSubmatch(string(text), -1)
	for _, m := range phrases {
		if slices.Contains([]string{"slices", "strings", "others"}, m[1]) {
			continue
		}
		if got := de.reasons.words.Replace(m[1]); got == m[1] {
			t.Errorf("%q stays English", m[1])
		}
	}
	if len(phrases) < 10 {
		t.Errorf("%d phrases found", len(phrases))
	}
}

// What was held for long, returned by an administrator or tried in vain is explained with the
// reason within it, in German throughout.
func TestReasonsWithinReasons(t *testing.T) {
	de, err := ReadTexts("de", nil)
	if err != nil {
		t.Fatal(err)
	}
	en, err := ReadTexts("en", nil)
	if err != nil {
		t.Fatal(err)
	}
	const missing = "no valid S/MIME certificate for b@example.net: no certificate found in store, ldap:ldap"
	const fehlt = "Für b@example.net gibt es kein gültiges S/MIME-Zertifikat: kein Zertifikat gefunden in store, ldap:ldap"
	for reason, want := range map[string]string{
		missing: fehlt,
		"held since 2026-11-30 and given up: " + missing:            "Seit 2026-11-30 aufbewahrt und aufgegeben: " + fehlt,
		"returned by an administrator; " + missing:                  "Von einem Administrator zurückgegeben: " + fehlt,
		"returned by an administrator: falsche Adresse; " + missing: "Von einem Administrator zurückgegeben (falsche Adresse): " + fehlt,
		"delivery time expired; last reply: mailbox full":           "Die Zustellung ist innerhalb der vorgesehenen Zeit nicht gelungen; letzte Antwort: mailbox full",
	} {
		if why, advice := de.reasons.explain(reason); why != want || advice == "" {
			t.Errorf("%q is %q, advice %q", reason, why, advice)
		}
		if why, advice := en.reasons.explain(reason); why != reason || advice == "" {
			t.Errorf("%q is %q, advice %q", reason, why, advice)
		}
	}
}
