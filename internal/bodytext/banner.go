package bodytext

import (
	"bytes"
	"crypto/rand"
	"html"
	"strings"
	"unicode/utf8"

	"github.com/smimerelay/smimerelay/internal/lookalike"
	"github.com/smimerelay/smimerelay/smime/message"
)

// Banner is what the gateway says at the top of a message. Mark is what it begins with:
// nothing that looks like it stays in the text below it.
type Banner struct{ Mark, Text string }

// AddBanner returns m with the banner above all that a reader shows of it: in its texts
// where nothing in them can cover or change it, else in a part of its own before the
// message, of which not an octet changes then. What is signed never changes. What only
// programs read comes back as it is: ciphertexts, opaque signatures, and invitations.
func AddBanner(m *message.Message, b Banner) (*message.Message, error) {
	lined, err := canonical(m)
	if err != nil {
		return nil, err
	}
	root := lined.Root()
	if forPrograms(root) {
		return m, nil
	}
	if texts := firstSeen(root); len(texts) > 0 && !showsOther(root, texts) {
		if edits, ok := b.insertion().edits(texts); ok && len(edits) > 0 {
			return lined.Apply(message.Change{Entity: splice(lined, edits)})
		}
	}
	entity, err := b.before(lined)
	if err != nil {
		return nil, err
	}
	return lined.Apply(message.Change{Entity: entity})
}

// forPrograms reports what is opened by a program as a whole.
func forPrograms(p *message.Part) bool {
	switch p.MediaType {
	case "application/pkcs7-mime", "application/x-pkcs7-mime", "text/calendar":
		return !p.Ambiguous
	case "multipart/signed": // an invitation with its signature: no program looks for one behind a text
		return !p.Ambiguous && len(p.Children) == 2 && p.Children[0].MediaType == "text/calendar" && !p.Children[0].Ambiguous &&
			strings.HasSuffix(p.Children[1].MediaType, "-signature") && !p.Children[1].Ambiguous
	case "multipart/encrypted": // RFC 3156 section 4
		return !p.Ambiguous && len(p.Children) == 2 && p.Children[0].MediaType == "application/pgp-encrypted" && p.Children[1].MediaType == "application/octet-stream"
	}
	return false
}

// firstSeen returns the texts of which a reader shows one before all else: none where that
// cannot be known. An invitation among the forms of a text stays as it is.
func firstSeen(p *message.Part) []*message.Part {
	switch {
	case p.Ambiguous || asFile(p):
		return nil
	case p.MediaType == "text/plain" || p.MediaType == "text/html":
		return []*message.Part{p}
	case !p.Closed || len(p.Children) == 0:
		return nil
	case p.MediaType == "multipart/mixed" || p.MediaType == "multipart/report", p.MediaType == "multipart/related" && p.Params["start"] == "":
		return firstSeen(p.Children[0])
	case p.MediaType != "multipart/alternative":
		return nil
	}
	var all []*message.Part
	for _, c := range p.Children {
		texts := firstSeen(c)
		if len(texts) == 0 && c.MediaType != "text/calendar" {
			return nil
		}
		all = append(all, texts...)
	}
	return all
}

// asFile reports whether a reader may show a part as a file rather than as text.
func asFile(p *message.Part) bool {
	d := strings.TrimSpace(strings.ToLower(p.Get("Content-Disposition")))
	return p.Params["name"] != "" || d != "" && d != "inline"
}

// showsOther reports whether a reader that looks for the best text may choose another
// than those given.
func showsOther(root *message.Part, texts []*message.Part) bool {
	other := false
	root.Walk(func(p *message.Part) bool {
		known := false
		for _, t := range texts {
			known = known || t == p
		}
		other = other || !known && p.MediaType == "text/html" && !attached(p)
		return p.MediaType != "message/rfc822"
	})
	return other
}

func (b Banner) insertion() insertion { return insertion{plain: b.intoPlain, html: b.intoHTML} }

// intoPlain puts the banner before the text.
func (b Banner) intoPlain(old []byte, charset, eol string, _ bool) (string, []byte, error) {
	text, ok := b.cut(old, charset == "" || charset == "utf-8" || strings.HasSuffix(charset, "ascii"))
	if !ok {
		return "", nil, errCharset
	}
	charset, add, err := fit(b.Text+eol+eol, text, charset)
	if err != nil {
		return "", nil, err
	}
	return charset, append(add, text...), nil
}

// intoHTML puts the banner before everything, where nothing before it can hide it, and
// styles it so that no style sheet below can.
func (b Banner) intoHTML(old []byte, eol string) ([]byte, error) {
	text, ok := b.cut(old, utf8.Valid(old))
	if !ok || covers(text) {
		return nil, errBody
	}
	at := doctype(text)
	changed := append(bytes.Clone(text[:at]), `<html style="`+unmoved+`"><body style="`+unmoved+`">`+b.element()+eol...)
	return append(changed, text[at:]...), nil
}

// element is the banner as HTML, in ASCII whatever the charset.
func (b Banner) element() string {
	return `<div style="` + shown + `">` + numbered(html.EscapeString(b.Text)) + `</div>`
}

// The styles of the banner, and of what it is in. They are inline and important: no style
// sheet is above them (CSS Cascading Level 4 section 6.1).
const (
	unmoved = "display:block!important;visibility:visible!important;opacity:1!important;position:static!important;float:none!important;" +
		"margin:0!important;padding:0!important;border:0!important;min-height:0!important;align-content:normal!important;inset:auto!important;" +
		"offset:none!important;height:auto!important;max-height:none!important;width:auto!important;overflow:visible!important;transform:none!important;" +
		"translate:none!important;rotate:none!important;scale:none!important;zoom:1!important;clip-path:none!important;-webkit-clip-path:none!important;" +
		"mask:none!important;-webkit-mask:none!important;filter:none!important;perspective:none!important;contain:none!important;" +
		"content-visibility:visible!important;columns:auto!important;writing-mode:horizontal-tb!important"
	shown = "all:initial!important;display:block!important;visibility:visible!important;position:relative!important;z-index:2147483647!important;" +
		"margin:0 0 8px 0!important;padding:6px!important;border:1px solid #000!important;background:#fff!important;color:#000!important;" +
		"font:14px sans-serif!important;text-align:left!important;direction:ltr!important;opacity:1!important"
)

// maxCut is how far from the beginning of a text what looks like a banner is cut out:
// further down it is not at the top of anything.
const maxCut = 16 << 10

// cut returns a text without what looks like a banner of the gateway at its beginning; ok
// is false where that is not known, because of a charset.
func (b Banner) cut(text []byte, readable bool) (rest []byte, ok bool) {
	n := min(len(text), maxCut)
	for n < len(text) && n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	top := string(text[:n])
	// An ASCII mark is seen in every charset that is written into, whatever is around it.
	if plain := lookalike.Cut(top, nil); lookalike.Cut(top, []string{b.Mark}) == plain {
		return text, true
	}
	if !readable || !utf8.ValidString(top) {
		return nil, false
	}
	return append([]byte(lookalike.Cut(top, []string{b.Mark})), text[n:]...), true
}

// before makes a multipart/mixed of the banner and the message.
func (b Banner) before(m *message.Message) (*message.Entity, error) {
	inner := content(m.Root().Fields)
	outer, forms := "banner-"+rand.Text(), "banner-"+rand.Text()
	kind, err := message.NewField("Content-Type", `multipart/mixed; boundary="`+outer+`"`)
	if err != nil {
		return nil, err
	}
	fields := []message.Field{kind}
	if !message.ScanLines(m.Body()).ASCII {
		fields = append(fields, message.RawField("Content-Transfer-Encoding", "8bit"))
	}
	form := func(kind string) message.Piece {
		return message.Text("--" + forms + "\r\nContent-Type: " + kind + "; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n")
	}
	return &message.Entity{Fields: fields, Received: true, Body: []message.Piece{
		message.Text("--" + outer + "\r\nContent-Type: multipart/alternative; boundary=\"" + forms + "\"\r\n\r\n"),
		form("text/plain"), message.Quoted([]byte(b.Text + "\r\n")),
		form("text/html"), message.Quoted([]byte(b.element() + "\r\n")),
		message.Text("--" + forms + "--\r\n--" + outer + "\r\n"), message.Text(message.WriteHeader(inner)), message.Text(m.Body()),
		message.Text("\r\n--" + outer + "--\r\n"),
	}}, nil
}
