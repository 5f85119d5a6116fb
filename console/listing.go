package console

import (
	"net/http"

	"github.com/smimerelay/smimerelay/console/api"
)

// listing is a page of what a search found, or what is wrong with the search.
type listing[T any] struct {
	Found         []T
	Next, Problem string
}

// listed is the listing of an answer. An error that is not about the search is returned.
func listed[T any](found *api.Body[api.List[T]], err error) (l listing[T], _ error) {
	code, text, _, known := api.Status(err)
	switch {
	case err == nil:
		l.Found, l.Next = found.Body.Items, found.Body.Next
	case !known || code >= http.StatusInternalServerError:
		return l, err
	default:
		l.Problem = text
	}
	return l, nil
}
