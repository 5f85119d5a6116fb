package console

import (
	"net/http"

	"golang.org/x/text/language"
)

// languages are those of the pages, the first where a browser prefers none of them.
var languages = []string{"en", "de"}

var matcher = language.NewMatcher([]language.Tag{language.English, language.German})

// languageCookie remembers a choice.
const languageCookie = "smimerelay-language"

// pickLanguage returns the language of a request: the one that was chosen, or what the browser prefers.
func pickLanguage(r *http.Request) string {
	chosen := ""
	if c, err := r.Cookie(languageCookie); err == nil {
		chosen = c.Value
	}
	_, i := language.MatchStrings(matcher, chosen, r.Header.Get("Accept-Language"))
	return languages[i]
}

// chooseLanguage remembers a language. It is of no harm from anywhere, and needs no session.
func chooseLanguage(v *visit) error {
	for _, l := range languages {
		if v.r.PostFormValue("language") == l {
			//nolint:gosec // Secure where browsers come by HTTPS
			http.SetCookie(v.w, &http.Cookie{Name: languageCookie, Value: l, Path: "/", MaxAge: 365 * 24 * 3600, HttpOnly: true, Secure: v.Secure, SameSite: http.SameSiteStrictMode})
		}
	}
	return v.redirect(v.placeOf(v.r.PostFormValue("to")))
}

// translate returns a text of the pages in a language; what is not known stays English.
func translate(lang, text string) string {
	text, _ = translation(lang, text)
	return text
}

// translation is translate, and whether the text is known in the language.
func translation(lang, text string) (translated string, known bool) {
	if lang == "en" {
		return text, true
	}
	if translated, known = german[text]; known {
		return translated, true
	}
	return text, false
}
