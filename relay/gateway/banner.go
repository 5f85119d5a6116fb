package gateway

import (
	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/bodytext"
	"github.com/smimerelay/smimerelay/smime"
)

// bannerCopies is how many times its size a message takes to get a banner.
const bannerCopies = 2

// bannered returns o with what was found at the top of its text, where the configuration
// asks for that: on all mail that a person reads, so that what is drawn below is never at
// the top. A message that cannot be changed stays as it is: then its status says it.
func (g *Gateway) bannered(o *opened) *opened {
	if g.Inbound.Banner == "" {
		return o
	}
	mark := "[" + g.Hostname + "] S/MIME:"
	m, err := bodytext.AddBanner(o.Message, bodytext.Banner{Mark: mark, Text: mark + " " + bannerIn(g.Inbound.Banner).text(o)})
	if err != nil || m == o.Message {
		return o
	}
	changed := *o
	changed.Message = m
	return &changed
}

// copies is how many times its size a message takes besides, for a number of copies of
// which the forms take so much.
func (g *Gateway) copies(forms int64, number int) int64 {
	if g.Inbound.Banner != "" {
		forms += bannerCopies * int64(number)
	}
	return forms
}

// bannerWords are the sentences of a banner.
type bannerWords struct{ valid, agreed, failed, unsigned, unchecked, encrypted string }

// bannerIn are the words in a language, English where it is not known.
func bannerIn(language string) bannerWords {
	if language == "de" {
		return bannerWords{
			valid: "Gültig signiert von ", agreed: "Gültig signiert für den Absender von ", failed: "Die Signatur ist nicht bestätigt: ",
			unsigned: "Nicht signiert.", unchecked: "Nicht geprüft: ", encrypted: " Verschlüsselt empfangen.",
		}
	}
	return bannerWords{
		valid: "Validly signed by ", agreed: "Validly signed for the author by ", failed: "The signature is not verified: ",
		unsigned: "Not signed.", unchecked: "Not checked: ", encrypted: " Received encrypted.",
	}
}

// text says in one line what was found.
func (w bannerWords) text(o *opened) string {
	r, text := &o.Report, w.unsigned
	reason := or(string(r.Reason), word(r.Result)) + "."
	switch s := deciding(r); {
	case r.Result == certs.Pass && s != nil && r.Reason == smime.ReasonDomainSignature:
		text = w.agreed + ascii(s.DomainSigner) + "."
	case r.Result == certs.Pass && s != nil && len(s.Addresses) > 0:
		text = w.valid + ascii(s.Addresses[0]) + "."
	case isSignedReport(r):
		text = w.failed + reason
	case r.Result != certs.None || r.Reason != "":
		text = w.unchecked + reason
	}
	if o.Decrypted && !o.encrypted {
		text += w.encrypted
	}
	return text
}
