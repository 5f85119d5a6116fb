package smime

import (
	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/smime/cms"
	"github.com/smimerelay/smimerelay/smime/message"
)

// conclude gives the report its result. Only signatures inside of the innermost
// encryption count: who signs a ciphertext need not have seen what it says
// (RFC 9787 section 6.3).
func (w *walker) conclude() {
	switch {
	case w.stopped:
	case len(w.signatures) > 0:
		w.concludeSigned()
	default:
		w.concludeUnsigned()
	}
}

// concludeUnsigned looks for signatures and ciphertexts that are only a part.
func (w *walker) concludeUnsigned() {
	if w.ignored {
		w.report.Reason = ReasonOuter
	}
	if w.part == nil {
		return
	}
	w.part.Walk(func(p *message.Part) bool {
		if w.report.Reason != "" {
			return false
		}
		switch k := partKind(p); {
		case k.Signed:
			w.report.Result, w.report.Reason = certs.Neutral, ReasonPartial
		case k.Encrypted:
			w.report.Reason = ReasonIsolated
		}
		return true
	})
}

// partKind is Inspect for one layer.
func partKind(p *message.Part) Kind {
	switch layerOf(p) {
	case clearLayer:
		return Kind{Signed: true}
	case cmsLayer:
		t := cmsType(p)
		return Kind{
			Signed:    t == cms.TypeSigned,
			Encrypted: t == cms.TypeEnveloped || t == cms.TypeAuthEnveloped,
		}
	}
	return Kind{}
}

// concludeSigned weighs the signed layers, all of which cover what the reader
// sees. One inside the other is common with gateways. Readers unwrap an opaque
// layer, so that any signer may speak for the content; where one is clear, some
// readers show the inner signer and some the outer: then all must pass.
func (w *walker) concludeSigned() {
	var layers []Signer
	opaque, passed := true, 0
	for _, l := range w.signatures {
		signer := best(w.report.Signers[l.first:l.last])
		if signer.broken {
			w.result(signer)
			return
		}
		if signer.Result == certs.Pass {
			passed++
		}
		layers = append(layers, signer)
		opaque = opaque && !l.clear
	}
	if !opaque && 0 < passed && passed < len(layers) {
		w.report.Result, w.report.Reason = certs.PolicyNo, ReasonNested
		return
	}
	w.result(best(layers))
	if p := w.payload(); w.report.Result == certs.Pass && protectedHeader(p) && !sameAuthor(w.given, p) {
		w.report.Result, w.report.Reason = certs.PolicyNo, ReasonAuthor
		w.report.Detail = "the protected From is another than the one outside"
	}
}

// result makes the result of one signer the report's.
func (w *walker) result(s Signer) {
	w.report.Result, w.report.Reason, w.report.Detail = s.Result, s.Reason, s.Detail
	if s.Result == certs.Pass && w.second && s.DomainSigner == "" {
		w.report.Reason = ReasonLineEnds
		w.report.Detail = "the signature was made over CRLF line endings, but the message has others"
	}
}

// rank orders results: the signer that says most for the message speaks for its
// layer, since anybody can add a bad signer to a good one.
var rank = map[certs.Result]int{
	certs.Pass: 6, certs.TempError: 5, certs.PolicyNo: 4, certs.Neutral: 3, certs.Fail: 2, certs.PermError: 1,
}

// best returns the signer that speaks for a layer.
func best(signers []Signer) Signer {
	top := Signer{Result: certs.PermError, Reason: ReasonMalformed}
	for i, s := range signers {
		if i == 0 || rank[s.Result] > rank[top.Result] {
			top = s
		}
	}
	return top
}
