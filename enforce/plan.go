package enforce

import "github.com/smimerelay/smimerelay/smime/address"

// Plan is what Decide decided: every recipient of the facts is in exactly one
// copy, or refused, or stripped, or held.
type Plan struct {
	Copies   []Copy
	Refused  []Refusal
	Stripped []Refusal
	// Held recipients wait by no_certificate = "hold" or "ask": the message is kept
	// for them, and the same question asked again.
	Held []Refusal
}

// Copy is one form of the message with those who get it.
type Copy struct {
	Recipients []Assigned
	Sign       *Sign    // nil: do not sign
	Encrypt    *Encrypt // nil: do not encrypt
	SubjectTag string   // to put before the subject; "" for none
	Footer     Footer   // to add to the text
}

// Footer is a text and, for HTML, a fragment that says the same; "" is made from
// the text. The zero value is none.
type Footer struct{ Text, HTML string }

// Assigned is a recipient with the rule that decided on it.
type Assigned struct {
	// Index is the recipient's place in Facts.Recipients.
	Index   int
	Address address.Address
	Rule    string
	Line    int // of the rule in its file; 0 if unknown
	// Note says in words what is not obvious from the rule: why a preferred
	// step was left out.
	Note string
	// Report says what would have become of the recipient if the rule did more
	// than report; "" if it does.
	Report string
}

// Sign is the step that signs.
type Sign struct {
	Profile string // name of the algorithm profile
	// Identity says who signs: "" is the sender, else a word of
	// Facts.Identities.
	Identity string
}

// Encrypt is the step that encrypts.
type Encrypt struct {
	// Certificates are in ascending order, each once.
	Certificates []Fingerprint
	Profile      string
}

// Missing is what a refused recipient lacks.
type Missing string

// What can be missing.
const (
	MissingCertificate Missing = "certificate"
	MissingIdentity    Missing = "identity"
	MissingGroup       Missing = "group" // what the directory knows of it
)

// Refusal is a recipient that does not get the message.
type Refusal struct {
	Assigned
	// Temporary means that trying again later may help: something was Unknown,
	// or our own identity is missing.
	Temporary bool
	// Missing says what was lacking: one of the words above, or ""
	// where it is another recipient's treatment that stands in the way.
	Missing Missing
	// Reason is the text for the sender.
	Reason string
	// Ask says of one who is held that the rule would have the recipient asked for a
	// certificate.
	Ask bool
}
