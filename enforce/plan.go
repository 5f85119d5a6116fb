package enforce

import "github.com/smimerelay/smimerelay/internal/address"

// Plan is what Decide decided: every recipient of the facts is in exactly one
// copy, or refused, or stripped.
type Plan struct {
	Copies   []Copy
	Refused  []Refusal
	Stripped []Refusal
}

// Copy is one form of the message with those who get it.
type Copy struct {
	Recipients []address.Address
	Rule       string // the rule that said so
	Sign       *Sign  // nil: do not sign
	Encrypt    *Encrypt
}

// Sign is the step that signs.
type Sign struct {
	Opaque  bool
	Profile string // name of the algorithm profile
}

// Encrypt is the step that encrypts.
type Encrypt struct {
	Certificates []Fingerprint
	Profile      string
}

// Refusal is a recipient that does not get the message.
type Refusal struct {
	Recipient address.Address
	Rule      string
	// Temporary means that trying again later may help: something was Unknown.
	Temporary bool
	// Missing says what was lacking: "certificate" or "identity".
	Missing string
	// Reason is the text for the sender.
	Reason string
}
