package console

import (
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/smimerelay/smimerelay/console/api"
)

// maxChosen is how many messages one form may choose: as many as a page has.
const maxChosen = 500

// errNone is a form with no message chosen.
var errNone = errors.New("choose at least one")

// maxReason bounds what is kept of a reason.
const maxReason = 500

// whyGiven is the reason that a form gives; "" is none.
func (v *visit) whyGiven() (string, error) {
	reason := strings.TrimSpace(v.r.PostFormValue("reason"))
	if utf8.RuneCountInString(reason) > maxReason {
		return "", errTooLarge
	}
	return reason, nil
}

// each does something with each of those that a form chose, and goes to a page. What fails for
// one keeps no other from it: where it was done for some, the answer says for which it was not.
func (v *visit) each(then string, do func(id string) error) error {
	ids := v.r.PostForm["id"]
	if len(ids) == 0 || len(ids) > maxChosen {
		return v.refuse(errNone)
	}
	var view errorView
	var last error
	for _, id := range ids {
		if err := do(id); err != nil {
			last = err
			view.Details = append(view.Details, template.HTML(template.HTMLEscapeString(safe(id))+": ")+v.reason(err)) //nolint:gosec // escaped
		}
	}
	failed := len(view.Details)
	switch {
	case failed == 0:
		return v.redirect(then)
	case len(ids) == 1:
		return last
	case failed == len(ids):
		view.Text = say(v.lang, "It was done for none of them.")
		return v.show(http.StatusConflict, "error", "Not done", view)
	}
	view.Text = template.HTML(fmt.Sprintf(translate(v.lang, "It was done for %d, and not for %d:"), len(ids)-failed, failed)) //nolint:gosec // two numbers
	return v.show(http.StatusConflict, "error", "Done in part", view)
}

// reason is what a client may read of an error. What is not known is logged.
func (v *visit) reason(err error) template.HTML {
	for _, known := range []error{errBadForm, errReason, errTooLarge} {
		if errors.Is(err, known) {
			return say(v.lang, known.Error())
		}
	}
	_, text, _, known := api.Status(err)
	if !known {
		v.Log.Error("console: page failed", "error", err)
	}
	return say(v.lang, text)
}
