package smime

import (
	"errors"
	"fmt"
	"strings"

	"github.com/smimerelay/smimerelay/smime/message"
)

// doubt says why two readers may come to different things by way of the layer
// p, "" if all of them come to the same. A relay can change
// everything around what is signed; so that all readers show what is signed
// and nothing else, everything around it must have one reading.
func doubt(p *message.Part, form layer) string {
	if form == noLayer {
		return ""
	}
	if d := p.Doubt(); d != "" || form == cmsLayer {
		return d
	}
	if _, err := p.Plain("protocol"); err != nil {
		return err.Error()
	}
	if len(p.Children) != 2 {
		return "" // clearParts says more about it
	}
	signature := p.Children[1]
	if d := signature.Doubt(); d != "" {
		return "the signature part: " + d
	}
	return nameDoubt(signature)
}

// nameDoubt looks at the names of the signature part, which no signature
// covers: a reader may save or open it under any of them.
func nameDoubt(p *message.Part) string {
	names, err := p.PlainNames()
	if err != nil {
		return "the signature part: " + err.Error()
	}
	for _, name := range names {
		if !cmsName(name) {
			return fmt.Sprintf("the signature part is named %q", name)
		}
	}
	return ""
}

var errParts = errors.New("multipart/signed has not exactly two parts")

// clearParts returns the two parts of a multipart/signed: what is signed, and
// the signature, which must be of the type that the protocol parameter names
// (RFC 1847 section 2.1, RFC 8551 section 3.5.3.2), by its name or its name from
// before RFC 2311. A second part of any other type would be shown, and nothing
// covers it.
func clearParts(p *message.Part) (content, signature *message.Part, err error) {
	if len(p.Children) != 2 || p.Defect != "" {
		return nil, nil, errParts
	}
	content, signature = p.Children[0], p.Children[1]
	protocol := strings.ToLower(p.Params["protocol"])
	if protocol != typeSignature && protocol != typeXSignature {
		return nil, nil, fmt.Errorf("multipart/signed has the protocol %q", protocol)
	}
	if signature.MediaType != typeSignature && signature.MediaType != typeXSignature {
		return nil, nil, fmt.Errorf("the second part of multipart/signed is %q, and its protocol %q", signature.MediaType, protocol)
	}
	return content, signature, nil
}

// clearlySigned reports whether p is a multipart/signed of S/MIME with its two
// parts.
func clearlySigned(p *message.Part) bool {
	if layerOf(p) != clearLayer {
		return false
	}
	_, _, err := clearParts(p)
	return err == nil
}
