package console

import (
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"
)

// uploads are the fields of forms that have the text of a file, which may be of any octets.
var uploads = map[string]bool{"message": true, "text": true, "pem": true}

// isText reports whether texts are UTF-8 without NUL. Others are nothing that was written in a field;
// PostgreSQL takes neither, and would make an error of the gateway of them.
func isText(texts ...string) bool {
	for _, text := range texts {
		if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
			return false
		}
	}
	return true
}

// isTextQuery is isText for the names and values of a query.
func isTextQuery(raw string) bool {
	text, err := url.QueryUnescape(raw)
	return err == nil && isText(text)
}

// refuseBytes answers a request whose address is no text.
func (c *Console) refuseBytes(w http.ResponseWriter, r *http.Request) {
	const text = "the address cannot be read: it must be UTF-8 without NUL"
	if isAPI(r) {
		c.problem(w, http.StatusBadRequest, text)
		return
	}
	http.Error(w, text, http.StatusBadRequest)
}
