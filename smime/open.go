package smime

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/cms"
	"github.com/smimerelay/smimerelay/smime/message"
)

// OpenOptions say what Open may use.
type OpenOptions struct {
	// Keys decrypt; nil: nothing is decrypted.
	Keys certs.DecryptionKeys
	// Checker judges the signers; nil: the chain is not checked, and nothing
	// passes.
	Checker certs.Checker
	// Revocation and At are passed to the Checker. Signing times long after At, or after
	// now where it is zero, do not pass.
	Revocation certs.RevocationMode
	At         time.Time
	// MaxLayers limits nesting; 0 is 6.
	MaxLayers int
	// AllowWeak decrypts 3DES and RC2, and with RSA keys from 1024 bits.
	AllowWeak bool
	// AllowSHA1 lets signatures with SHA-1 pass, AllowRSA1024 those of RSA keys
	// from 1024 bits, AllowBare those without signed attributes.
	AllowSHA1, AllowRSA1024, AllowBare bool
	// Signers finds the certificates of signers that the message does not
	// bring; nil: only the message's count.
	Signers SignerLookup
	// DomainSigner says by what name a certificate, which names another, is one that
	// signs for the author's domain (RFC 3183); "" if it is not. Nil: none is.
	DomainSigner func(author address.Address, cert *x509.Certificate) string
	// Reserve is asked for memory, in octets, for what is decompressed; nil allows
	// all. See Opened.NoMemory.
	Reserve func(octets int64) bool
	// Certificates saves parsing the same ones again; nil: each is parsed.
	Certificates *cms.CertificateCache
	// Kind is what Inspect returned for the message: it saves decoding it a second
	// time. Nil: nothing is known. Open changes it.
	Kind *Kind
}

// Opened is what Open found.
type Opened struct {
	// Message is the message to deliver: with what could be decrypted brought
	// to the surface, or the very message given where nothing was.
	Message *message.Message
	// Decrypted says that Message differs from what was given.
	Decrypted bool
	Report    Report
	// KeyError says why one of our keys could not be asked, nil where none was
	// needed or all answered. Such a message is not one that cannot be
	// decrypted: trying again later may help.
	KeyError error
	// NoMemory says that OpenOptions.Reserve refused what a layer needs: trying
	// again later may help.
	NoMemory bool

	// given is what was opened, unwrapped the message inside of its innermost CMS
	// object, and payload what is inside of all layers; nil where there is none, or it
	// was not reached.
	given, unwrapped *message.Message
	payload          *message.Part
	reserve          func(octets int64) bool // that of the options
}

const (
	defaultLayers   = 6
	maxDecompressed = 100 << 20
)

// Open decrypts and verifies m, layer by layer. It does not fail: what is wrong
// with the message is said in the report, and the message is then the one given.
func Open(ctx context.Context, m *message.Message, o OpenOptions) *Opened {
	w := newWalker(ctx, m, o)
	w.walk()
	opened := &Opened{Message: m, given: m, reserve: o.Reserve}
	if w.surface != nil {
		if delivered, err := bringUp(m, w.surface, w.payload()); err != nil {
			w.stop(certs.PermError, ReasonDecrypt, "what was decrypted cannot be delivered: "+err.Error())
		} else {
			opened.Message, opened.Decrypted = delivered, true
		}
	}
	if opened.payload = w.payload(); opened.payload != nil {
		opened.unwrapped = w.unwrapped
	}
	w.conclude()
	opened.Report, opened.KeyError, opened.NoMemory = w.report, w.keyError, w.noMemory
	return opened
}

func newWalker(ctx context.Context, m *message.Message, o OpenOptions) *walker {
	return &walker{ctx: ctx, given: m, options: o, report: Report{
		Result: certs.None, Layers: []string{}, Signers: []Signer{},
	}}
}

// walker opens the layers of one message.
type walker struct {
	ctx     context.Context //nolint:containedctx // a walker lives for one call
	given   *message.Message
	options OpenOptions
	report  Report

	part *message.Part // what the next layer is
	file string        // the name of the file that the last CMS object is around; "" if it says none
	// doubt says why readers may take another way to part than the walk did.
	doubt string
	// stopped says that the report has its result: the walk ended early.
	stopped bool
	// encrypted says that an encrypted layer was met.
	encrypted bool
	// signatures are the signed layers since the last encrypted one: only they
	// are about what the reader sees.
	signatures []signedLayer
	ignored    bool // a signature was outside of encryption
	second     bool // a second reading was needed
	// surface is the message that was decrypted last, sealed if what is in it
	// is signed: what is compressed in that stays so.
	surface  *message.Message
	sealed   bool
	keyError error // why our keys could not be asked

	// unwrapped is what the last CMS object held.
	unwrapped *message.Message
	noMemory  bool  // for what a layer holds
	lookups   int   // of signers' certificates
	heldOut   error // why one of these failed

	// spool makes room for what is in a large layer, and failed is why that, or the
	// message, could not be read or written: see OpenStream.
	spool  func() (Spool, error)
	failed error
}

// signedLayer is a signed layer with its signers, as indices in the report.
type signedLayer struct {
	clear       bool
	first, last int
}

// stop ends the walk with a result.
func (w *walker) stop(result certs.Result, reason certs.Reason, detail string) {
	w.report.Result, w.report.Reason, w.report.Detail = result, reason, detail
	w.stopped = true
}

func (w *walker) walk() {
	limit := w.options.MaxLayers
	if limit == 0 {
		limit = defaultLayers
	}
	w.part = w.given.Root()
	for n := 0; !w.stopped; n++ {
		if w.part.Ambiguous {
			w.stop(certs.PermError, ReasonAmbiguous, w.part.Defect)
			return
		}
		form := layerOf(w.part)
		if w.doubt == "" && !w.options.Kind.sure(w.part) {
			w.doubt = doubt(w.part, form)
		}
		if form == noLayer {
			return
		}
		if n == limit {
			w.stop(certs.PermError, ReasonLayers, "")
			return
		}
		if form == clearLayer {
			w.openClear()
		} else {
			w.openCMS()
		}
		if w.part == nil {
			return
		}
	}
}

// payload is what is inside of all layers, nil if there is none or it was not
// reached.
func (w *walker) payload() *message.Part {
	if w.stopped || len(w.report.Layers) == 0 {
		return nil
	}
	return w.part
}

// oneReading ends the walk where a signature is about to be judged that another
// reader may not find, or find over something else. What was decrypted on the
// way stays as it is.
func (w *walker) oneReading() bool {
	if w.doubt == "" {
		return true
	}
	w.sealed = true
	w.stop(certs.PermError, ReasonAmbiguous, w.doubt)
	return false
}

// openClear opens a multipart/signed.
func (w *walker) openClear() {
	if !w.oneReading() {
		return
	}
	content, second, err := clearParts(w.part)
	if err != nil {
		w.stop(certs.PermError, ReasonMalformed, err.Error())
		return
	}
	object, err := w.options.Kind.take(w.part, func() ([]byte, error) { return decodeAll(second) })
	if err != nil {
		w.stop(certs.PermError, ReasonMalformed, err.Error())
		return
	}
	data, err := w.options.Certificates.ParseSignedData(object)
	if err != nil {
		w.stop(certs.PermError, ReasonMalformed, err.Error())
		return
	}
	if data.ContentType != cms.TypeData {
		w.stop(certs.PermError, ReasonUnsupported, foreign(data))
		return
	}
	signed := &signature{data: data, clear: true}
	switch {
	case !content.Large():
		signed.content = content.Bytes()
	case data.OverContent():
		if signed.content, err = io.ReadAll(content.Reader()); err != nil {
			w.stop(certs.PermError, ReasonMalformed, err.Error())
			return
		}
	default:
		signed.large = content
	}
	w.signed(signed)
	w.part = content
}

// foreign says what else than a MIME entity data signs (RFC 8551 section 2.4.2): a
// signature that was made for another protocol says nothing about a message.
func foreign(data *cms.SignedData) string {
	return fmt.Sprintf("the signature is over content of type %s, not %s", data.ContentType, cms.TypeData)
}

// signed verifies a signed layer.
func (w *walker) signed(s *signature) {
	layer := signedLayer{clear: s.clear, first: len(w.report.Signers)}
	results, second := s.verify()
	if w.lookUp(s, results) {
		results, second = s.verify()
	}
	w.second = w.second || second
	for _, r := range results {
		signer := w.judge(r, s.data)
		signer.Layer = len(w.report.Layers)
		w.report.Signers = append(w.report.Signers, signer)
	}
	layer.last = len(w.report.Signers)
	w.report.Layers = append(w.report.Layers, "signed")
	w.signatures = append(w.signatures, layer)
	w.sealed = true
}

// openCMS opens a CMS object, whatever the smime-type says it is.
func (w *walker) openCMS() {
	if w.part.Large() {
		w.openLarge()
		return
	}
	object, err := w.options.Kind.take(w.part, w.part.Decode)
	own := w.part.Encoded()
	w.file, w.part = fileName(w.part), nil
	if err != nil {
		w.stop(certs.PermError, ReasonMalformed, err.Error())
		return
	}
	kind, err := cms.ContentType(object)
	if err != nil {
		w.stop(certs.PermError, ReasonMalformed, err.Error())
		return
	}
	switch kind {
	case cms.TypeSigned:
		w.openSigned(object)
	case cms.TypeEnveloped, cms.TypeAuthEnveloped:
		w.openEnveloped(object, own)
	case cms.TypeCompressed:
		w.openCompressed(object)
	default:
		w.stop(certs.PermError, ReasonUnsupported, "content type "+string(kind))
	}
}

// openSigned opens an opaque signature, or finds certificates only.
func (w *walker) openSigned(object []byte) {
	data, err := w.options.Certificates.ParseSignedData(object)
	if w.opaque(&signature{data: data}, err, err == nil && data.Content != nil) {
		w.inner(data.Content.Bytes())
	}
}

// opaque judges an opaque signature, and reports whether what it signs is to be read.
func (w *walker) opaque(s *signature, err error, content bool) bool {
	data := s.data
	switch {
	case err != nil:
		w.stop(certs.PermError, ReasonMalformed, err.Error())
	case data.Signers() == 0:
		w.report.Layers = append(w.report.Layers, "certs-only")
	case !content:
		w.stop(certs.PermError, ReasonMalformed, "a signature without what it signs")
	case data.ContentType != cms.TypeData:
		w.stop(certs.PermError, ReasonUnsupported, foreign(data))
	case !w.oneReading():
	default:
		w.signed(s)
		return true
	}
	return false
}

// openEnveloped opens an encrypted object. own says that its octets are not part
// of a message, and may be overwritten.
func (w *walker) openEnveloped(object []byte, own bool) {
	env, err := cms.ParseEnvelopedData(object)
	var content []byte
	if w.decrypt(env, err, own, func(i int, key crypto.PrivateKey, o cms.DecryptOptions) (err error) {
		content, err = env.Decrypt(i, key, o)
		return err
	}) {
		w.surface = w.inner(content)
		w.sealed = false
	}
}

func (w *walker) openCompressed(object []byte) {
	_, content, err := cms.Decompress(object, cms.Limits{MaxSize: maxDecompressed, Reserve: w.options.Reserve})
	if errors.Is(err, cms.ErrMemory) {
		w.noMemory = true
		w.stop(certs.TempError, "", err.Error())
		return
	}
	if err != nil {
		w.stop(certs.PermError, ReasonMalformed, err.Error())
		return
	}
	w.report.Layers = append(w.report.Layers, "compressed")
	inner := w.inner(content)
	if w.surface != nil && !w.sealed {
		w.surface = inner
	}
}

// inner makes what was in a layer the next one: a message of its own, parsed
// again. What cannot be a MIME entity is text, or a file.
func (w *walker) inner(content []byte) *message.Message {
	m, err := parseEntity(content, w.file)
	if err != nil {
		w.stop(certs.PermError, ReasonMalformed, err.Error())
		return nil
	}
	w.part, w.unwrapped = m.Root(), m
	return m
}
