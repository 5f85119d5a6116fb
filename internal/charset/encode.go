package charset

import (
	"encoding/base64"
	"mime"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
)

// maxWord is how many characters an encoded word has at most, and maxWordText how many
// octets one in UTF-8 holds: what is around the text takes 12 (RFC 2047 section 2).
const (
	maxWord     = 75
	maxWordText = 45
)

// maxIn is how much text is written in another charset than UTF-8, character by
// character: more than any subject has.
const maxIn = 4 << 10

// Encode returns the value of an unstructured field that Header reads as text: as it is
// where it may be, else in encoded words (RFC 2047). What only looks like an encoded word
// is encoded too, or readers would show what is in it.
func Encode(text string) string {
	encoded := mime.QEncoding.Encode("utf-8", text)
	if encoded != text || !strings.Contains(text, "=?") {
		return encoded
	}
	return Words(text)
}

// Words returns the value of an unstructured field that Header reads as text, all of it in
// encoded words: none is too long for a line.
func Words(text string) string {
	text = strings.ToValidUTF8(text, "?")
	var words []string
	for len(text) > 0 {
		n := min(len(text), maxWordText)
		for n < len(text) && !utf8.RuneStart(text[n]) {
			n--
		}
		words = append(words, "=?utf-8?b?"+base64.StdEncoding.EncodeToString([]byte(text[:n]))+"?=")
		text = text[n:]
	}
	return strings.Join(words, " ")
}

// EncodeIn is Encode in a charset where all of the text can be written in it, and in
// UTF-8 elsewhere.
func EncodeIn(charset, text string) string {
	if Encode(text) == text {
		return text
	}
	if len(text) > maxIn {
		return Encode(text)
	}
	encoded, ok := words(strings.ToLower(charset), text)
	if read, known := Header(encoded); !ok || !known || read != text {
		return Encode(text)
	}
	return encoded
}

// words returns encoded words in a charset. No character is parted by two of them, and
// each starts and ends in ASCII (RFC 2047 section 5): readers decode each by itself.
func words(name, text string) (encoded string, ok bool) {
	w, ok := writerFor(name)
	if !ok {
		return "", false
	}
	room := (maxWord - len("=??b??=") - len(name)) / 4 * 3
	var all []string
	add := func(octets []byte) {
		all = append(all, "=?"+name+"?b?"+base64.StdEncoding.EncodeToString(octets)+"?=")
	}
	begun, kept := 0, []byte(nil)
	for i, r := range text {
		octets, ok := w.octets(text[begun : i+len(string(r))])
		if !ok {
			return "", false
		}
		if len(octets) > room {
			if kept == nil {
				return "", false
			}
			add(kept)
			begun = i
			if octets, ok = w.octets(string(r)); !ok {
				return "", false
			}
		}
		kept = octets
	}
	add(kept)
	return strings.Join(all, " "), true
}

// isName reports what can be the name of a charset (RFC 2978 section 2.3) and leaves
// room for text in a word.
func isName(name string) bool {
	return name != "" && len(name) <= maxWord/2 && !strings.ContainsFunc(name, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789-_.+", r)
	})
}

// writer writes text in a charset in which ASCII is ASCII.
type writer struct {
	name string
	encoding.Encoding
}

// writerFor returns the writer for a charset; ok is false where there is none.
func writerFor(name string) (w writer, ok bool) {
	if !isName(name) {
		return w, false
	}
	w = writer{name, lookup(name)}
	if w.Encoding == nil {
		return w, false
	}
	ascii, err := w.NewEncoder().String("a")
	return w, err == nil && ascii == "a" // UTF-16 is not for encoded words
}

// octets returns text in the charset; ok is false where it lacks a character.
func (w writer) octets(text string) (octets []byte, ok bool) {
	octets, err := w.NewEncoder().Bytes([]byte(text))
	if err != nil {
		return nil, false
	}
	for _, c := range octets {
		// These are read as Windows code pages, which have more.
		if strings.HasSuffix(w.name, "ascii") && c >= 0x80 || strings.HasPrefix(w.name, "iso-8859-") && 0x80 <= c && c < 0xa0 {
			return nil, false
		}
	}
	return octets, true
}

// Of returns the charset of the first encoded word of a field value; "" if there is none.
func Of(value string) string {
	if _, words, _, _ := nextWords(value); len(words) > 0 {
		return words[0].charset
	}
	return ""
}
