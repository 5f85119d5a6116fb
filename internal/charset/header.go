package charset

import (
	"encoding/base64"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Header returns an unfolded field value, as people see it, with its encoded words
// read (RFC 2047 section 6, with the languages of RFC 2231 section 5). Encoded words are read wherever they stand, also in
// quoted-strings, as mail programs do. ok is false where some reader may see
// something else: an unknown charset, octets that are not of it, 8-bit octets
// that are no UTF-8, an encoded word that is broken off.
func Header(value string) (text string, ok bool) {
	if isPlain(value) {
		return value, true
	}
	var b strings.Builder
	ok = true
	take := func(text string, known bool) {
		b.WriteString(text)
		ok = ok && known
	}
	for value != "" {
		raw, words, rest, whole := nextWords(value)
		take(rawText(raw))
		if len(words) > 0 {
			take(readWords(words))
		}
		if !whole {
			take("", false)
		}
		value = rest
	}
	return seen(b.String()), ok
}

// isPlain reports whether a value is read as it is written: printable ASCII, in which no
// encoded word begins.
func isPlain(value string) bool {
	for i := range len(value) {
		if c := value[i]; (c < ' ' || c > '~') && c != '\t' || c == '=' && strings.HasPrefix(value[i:], "=?") {
			return false
		}
	}
	return true
}

// word is an encoded word without its transfer encoding.
type word struct {
	charset string
	octets  []byte
}

// nextWords returns the text before the first encoded words of s, these words
// with only white space between, and what follows them; whole is false where
// something begins as an encoded word does and is none.
func nextWords(s string) (raw string, words []word, rest string, whole bool) {
	whole = true
	from := 0
	for {
		i := strings.Index(s[from:], "=?")
		if i < 0 {
			return s, nil, "", whole
		}
		w, n, ok := encodedWord(s[from+i:])
		if ok {
			raw, rest, words = s[:from+i], s[from+i+n:], []word{w}
			break
		}
		whole = whole && !opensWord(s[from+i:])
		from += i + len("=?")
	}
	for {
		next := strings.TrimLeft(rest, " \t\r\n")
		w, n, ok := encodedWord(next)
		if !ok {
			return raw, words, rest, whole
		}
		words, rest = append(words, w), next[n:]
	}
}

// encodedWord reads the encoded word at the beginning of s and returns its length.
func encodedWord(s string) (w word, n int, ok bool) {
	if !strings.HasPrefix(s, "=?") {
		return w, 0, false
	}
	charset, rest, found := strings.Cut(s[2:], "?")
	if !found || charset == "" || strings.ContainsAny(charset, " \t") || len(rest) < 2 || rest[1] != '?' {
		return w, 0, false
	}
	text := rest[2:]
	end := strings.Index(text, "?=")
	if end < 0 {
		return w, 0, false
	}
	charset, _, _ = strings.Cut(charset, "*") // RFC 2231 section 5: the language
	switch rest[0] {
	case 'b', 'B':
		w.octets, ok = wordBase64(text[:end])
	case 'q', 'Q':
		w.octets, ok = wordQ(text[:end]), true
	}
	w.charset = charset
	return w, len(s) - len(text) + end + len("?="), ok
}

// opensWord reports whether some reader may take the beginning of s for an
// encoded word.
func opensWord(s string) bool {
	charset, rest, found := strings.Cut(s[2:], "?")
	return found && charset != "" && !strings.ContainsAny(charset, " \t") && len(rest) > 1 && rest[1] == '?'
}

// wordBase64 reads base64 as mail programs do, with padding or without. Programs differ
// on what is behind padding, and on a word that ends within an octet: that is not read.
func wordBase64(s string) ([]byte, bool) {
	s = strings.TrimRight(s, "= \t")
	s = strings.Map(func(r rune) rune {
		if isBase64(r) {
			return r
		}
		if r == ' ' || r == '\t' {
			return -1
		}
		return '!' // no base64: Decode refuses it
	}, s)
	octets, err := base64.RawStdEncoding.Strict().DecodeString(s)
	return octets, err == nil
}

// wordQ reads the Q encoding (RFC 2047 section 4.2); what is no escape is itself.
func wordQ(s string) []byte {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '_':
			out = append(out, ' ')
		case c == '=' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			out = append(out, unhex(s[i+1])<<4|unhex(s[i+2]))
			i += 2
		default:
			out = append(out, c)
		}
	}
	return out
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case c >= 'a':
		return c - 'a' + 10
	case c >= 'A':
		return c - 'A' + 10
	}
	return c - '0'
}

// readWords reads words that stand together. Those of one charset are joined
// first: programs split characters between them, which RFC 2047 section 5 forbids
// and readers mend.
func readWords(words []word) (text string, ok bool) {
	ok = true
	for len(words) > 0 {
		joined, n := words[0].octets, 1
		for n < len(words) && strings.EqualFold(words[n].charset, words[0].charset) {
			joined = append(joined[:len(joined):len(joined)], words[n].octets...)
			n++
		}
		part, known := decode(words[0].charset, joined)
		text, ok, words = text+part, ok && known, words[n:]
	}
	return text, ok
}

// rawText reads what is not encoded: ASCII, UTF-8 (RFC 6532), or ISO-2022-JP,
// whose escapes give it away.
func rawText(s string) (string, bool) {
	switch {
	case strings.ContainsRune(s, '\x1b'):
		return decode("iso-2022-jp", []byte(s))
	case !utf8.ValidString(s):
		return readable([]byte(s)), false
	}
	return s, true
}

// seen returns a text without characters that no reader shows, for a word that is cut
// by them looks like the word, and in NFC. Zero octets are of the kind. It takes the
// whole of a text: a letter and its accent may stand in two encoded words.
func seen(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cf, r) || r == 0 {
			return -1
		}
		return r
	}, s)
	return norm.NFC.String(s)
}
