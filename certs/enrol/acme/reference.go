package acme

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/smimerelay/smimerelay/smime/address"
)

// reference is what is kept of an order at the authority. It holds no secret: what it says
// is worth nothing without the account's key.
type reference struct {
	// Order is the URL of the order; "" before there is one.
	Order string `json:"order,omitempty"`
	// Challenge is the URL of the challenge, From who sends its message, Token the part of
	// the token that is not in the message (RFC 8823 section 3, token-part2).
	Challenge string `json:"challenge,omitempty"`
	From      string `json:"from,omitempty"`
	Token     string `json:"token,omitempty"`
	// Since is when the order was made, in seconds.
	Since int64 `json:"since,omitempty"`
	// Prompted: the server was asked for its message. Announced is of how many answers it
	// knows that they are on their way.
	Prompted  bool `json:"prompted,omitempty"`
	Announced int  `json:"announced,omitempty"`
}

func readReference(text []byte) (reference, error) {
	var r reference
	if len(text) == 0 {
		return r, nil
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return r, fmt.Errorf("the reference of the order cannot be read: %w", err)
	}
	return r, nil
}

func (r *reference) encode() []byte {
	text, _ := json.Marshal(r) // of strings and numbers it never fails
	return text
}

// sentBy reports whether the challenge's messages come from an address.
func (r *reference) sentBy(a address.Address) bool {
	from, err := address.Parse(r.From)
	return err == nil && from.Equal(a, address.IgnoreCase)
}

func (r *reference) age(now time.Time) time.Duration { return now.Sub(time.Unix(r.Since, 0)) }
