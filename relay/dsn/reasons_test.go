package dsn

import (
	"os"
	"path/filepath"
	"regexp"
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
	r.Recipients[0].Reply = fault.Reply{Code: 550, Enhanced: [3]int{5, 7, 1}, Text: "no valid S/MIME certificate for bob@example.net: none found (help: https://hilfe.example.org)"}
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
	if strings.Contains(text, "(help:") {
		t.Error(text)
	}
}
