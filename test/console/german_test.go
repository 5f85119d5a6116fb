package console

import (
	"maps"
	"regexp"
	"slices"
	"testing"

	"github.com/chromedp/chromedp"
)

// visibleTexts collects the texts of a page, those for screen readers included. What is code, or
// says in which language it is, is not of the language of the page.
const visibleTexts = `(() => {
	const other = e => e.closest("code, script, textarea, [lang]:not(html)");
	const all = [document.title.replace(" – smimerelay", "")];
	for (const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT); walk.nextNode();)
		if (!other(walk.currentNode.parentElement)) all.push(walk.currentNode.data.trim());
	for (const name of ["aria-label", "placeholder", "title"])
		for (const e of document.querySelectorAll("[" + name + "]"))
			if (!other(e)) all.push(e.getAttribute(name));
	return all.filter(Boolean);
})()`

// Texts that are the same in both languages: words, and what is data.
var (
	sameWords = []string{
		"smimerelay", "Mail", "Plan", "Status", "Version", "Name", "Operator", "Administrator", "administrator", "Listener", "Listener (optional)", "Client", "client",
		"UTC", "OCSP", "SHA-256", "Message-ID", "Option", "CRL", "Domain",
	}
	isData = regexp.MustCompile(`@|CN=|\d|^(alice|root|out|default|partners|gw\.example\.org|partner\.example|issuing|store|test|harvested|dns|agreed by telephone)\b`)
	letter = regexp.MustCompile(`\p{L}{3}`)
	isoDay = regexp.MustCompile(`\b\d{4}-\d\d-\d\d\b`)
	deDay  = regexp.MustCompile(`\b\d\d\.\d\d\.\d{4}\b`)
)

// TestGermanPagesAreGerman: a page in German has no text of the page in English, but for what
// says that it is English; times are written in the way of the language.
func TestGermanPagesAreGerman(t *testing.T) {
	g := startGateway(t)
	b := startBrowser(t, g, true)
	b.signIn()
	english := b.textsOfAll()
	b.signIn()
	b.submit("button[lang=de]", "In der Warteschlange")
	german := b.textsOfAll()
	days := map[bool]int{}
	for _, page := range slices.Sorted(maps.Keys(english)) {
		if len(german[page]) < 5 {
			t.Errorf("%s: only %q", page, german[page])
		}
		for _, text := range german[page] {
			if isoDay.MatchString(text) {
				t.Errorf("%s: a day is written %q", page, text)
			}
			days[true] = days[true] + len(deDay.FindAllString(text, -1))
			if letter.MatchString(text) && !isData.MatchString(text) && !slices.Contains(sameWords, text) && slices.Contains(english[page], text) {
				t.Errorf("%s: %q is English", page, text)
			}
		}
		for _, text := range english[page] {
			days[false] = days[false] + len(isoDay.FindAllString(text, -1))
			if deDay.MatchString(text) {
				t.Errorf("%s: a day is written %q in English", page, text)
			}
		}
	}
	if days[false] < 20 || days[true] < days[false] { // the audit log has more the second time
		t.Errorf("%d days in German, %d in English", days[true], days[false])
	}
}

// textsOfAll returns the texts of each page and of what forms on them answer, and signs out.
func (b *browser) textsOfAll() map[string][]string {
	b.t.Helper()
	all := map[string][]string{}
	collect := func(name string) {
		b.t.Helper()
		var texts []string
		b.do(chromedp.Evaluate(visibleTexts, &texts))
		all[name] = texts
	}
	for _, p := range shownPages(b.g) {
		b.do(chromedp.Navigate(b.g.url + p.path))
		collect(p.file)
	}
	for _, s := range append(states(b.g), state{"signed-out", "/", "form[action='/sign-out'] button", nil}) {
		b.reach(s)
		collect(s.file)
	}
	return all
}
