package api

// The bounds of a list.
const (
	defaultLimit = 50
	maxLimit     = 500
)

// Paging is where a list begins and how long it is.
type Paging struct {
	Cursor string `query:"cursor" maxLength:"128" doc:"Where the page before ended: its next."`
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"50" doc:"Maximum number of items."`
}

// most is the number of items to return.
func (p Paging) most() int {
	if p.Limit <= 0 {
		return defaultLimit
	}
	return min(p.Limit, maxLimit)
}

// List is a part of a list.
type List[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty" doc:"The cursor of the next page; absent after the last."`
}

// listOf makes a list of what was read with one more than is shown.
func listOf[T any](items []T, most int, cursor func(T) string) List[T] {
	l := List[T]{Items: items}
	if len(items) > most {
		l.Items = items[:most]
		l.Next = cursor(l.Items[most-1])
	}
	if l.Items == nil {
		l.Items = []T{}
	}
	return l
}

// Body is the answer of an operation.
type Body[T any] struct{ Body T }

func body[T any](value T) *Body[T] { return &Body[T]{value} }

// Empty is the request or the answer of an operation that needs nothing more.
type Empty struct{}
