// Package charset reads the text of header fields in the character sets that mail
// programs write (RFC 2047, RFC 2231). What it cannot read for sure it says so
// of: a rule that looks for a word must not take "cannot be read" for "is not
// there".
package charset

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/encoding/unicode/utf32"
)

// aliases are names that mail programs write and no register has.
var aliases = map[string]encoding.Encoding{
	"utf8mb4": unicode.UTF8, "cp65001": unicode.UTF8,
	"utf16": unicode.UTF16(unicode.BigEndian, unicode.UseBOM), "utf16be": unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM),
	"utf16le": unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM),
	"ucs2":    unicode.UTF16(unicode.BigEndian, unicode.UseBOM), "iso10646ucs2": unicode.UTF16(unicode.BigEndian, unicode.UseBOM),
	"utf32": utf32.UTF32(utf32.BigEndian, utf32.UseBOM), "utf32be": utf32.UTF32(utf32.BigEndian, utf32.IgnoreBOM),
	"utf32le": utf32.UTF32(utf32.LittleEndian, utf32.IgnoreBOM), "ucs4": utf32.UTF32(utf32.BigEndian, utf32.UseBOM),
	"cp932": japanese.ShiftJIS, "ms932": japanese.ShiftJIS, "windows932": japanese.ShiftJIS, "shiftjis": japanese.ShiftJIS,
	"eucjpms": japanese.EUCJP, "cp51932": japanese.EUCJP, "eucjp": japanese.EUCJP,
	"iso2022jp1": japanese.ISO2022JP, "iso2022jp2": japanese.ISO2022JP, "iso2022jp3": japanese.ISO2022JP, "iso2022jpms": japanese.ISO2022JP,
	"cp50220": japanese.ISO2022JP, "cp50221": japanese.ISO2022JP, "cp50222": japanese.ISO2022JP,
	"cp936": simplifiedchinese.GBK, "ms936": simplifiedchinese.GBK, "windows936": simplifiedchinese.GBK, "euccn": simplifiedchinese.GBK,
	"cp54936": simplifiedchinese.GB18030, "hzgb2312": simplifiedchinese.HZGB2312, "hz": simplifiedchinese.HZGB2312,
	"cp949": korean.EUCKR, "uhc": korean.EUCKR, "ks56011987": korean.EUCKR, "euckr": korean.EUCKR,
	"cp950": traditionalchinese.Big5, "big5eten": traditionalchinese.Big5,
}

// Decode returns octets of a charset as text, as people see it. ok is false where the charset
// is not known or the octets are not all of it; what could be read is returned.
func Decode(charset string, octets []byte) (text string, ok bool) {
	text, ok = decode(charset, octets)
	return seen(text), ok
}

func decode(charset string, octets []byte) (text string, ok bool) {
	if isUTF7(charset) {
		return decodeUTF7(octets)
	}
	e := lookup(charset)
	if e == nil {
		return readable(octets), false
	}
	out, err := e.NewDecoder().Bytes(octets)
	if err != nil {
		return readable(octets), false
	}
	text = string(out)
	return text, utf8.ValidString(text) && !strings.ContainsRune(text, utf8.RuneError)
}

// lookup returns the encoding of a charset; nil if it is not known. The names of
// browsers come first: they read "iso-8859-1" and "gb2312" as what is written
// under these names, which are windows-1252 and GBK.
func lookup(charset string) encoding.Encoding {
	name := strings.ToLower(strings.TrimSpace(charset))
	if e := aliases[plain(name)]; e != nil {
		return e
	}
	for _, candidate := range []string{name, codePage(name)} {
		if e, err := htmlindex.Get(candidate); err == nil && e != encoding.Replacement {
			return e
		}
		if e, err := ianaindex.MIME.Encoding(candidate); err == nil && e != nil {
			return e
		}
	}
	return nil
}

// between are the characters that people write within charset names, or leave out. It is
// made once: a header may name thousands of charsets.
var between = strings.NewReplacer("-", "", "_", "", " ", "", ".", "", ":", "")

// plain returns a charset name without what people write it with and without.
func plain(name string) string {
	name = strings.TrimPrefix(strings.TrimPrefix(name, "x-"), "cs")
	return between.Replace(name)
}

// codePage returns the register's name of a code page: "cp1252", "win-1252" and
// "ansi-1252" are windows-1252, and "cp850" is ibm850.
func codePage(name string) string {
	name = plain(name)
	number := strings.TrimLeft(name, "abcdefghijklmnopqrstuvwxyz")
	switch word := strings.TrimSuffix(name, number); {
	case word == "iso" && strings.HasPrefix(number, "8859"):
		return "iso-8859-" + strings.TrimPrefix(number, "8859")
	case len(number) == 4 && strings.HasPrefix(number, "125") || number == "874":
		return "windows-" + number
	case word == "cp" || word == "ibm" || word == "dos":
		return "ibm" + number
	}
	return name
}

// readable returns octets of an unknown charset: as UTF-8 where they are, or as
// the charset that is guessed most.
func readable(octets []byte) string {
	if !utf8.Valid(octets) {
		if e, err := htmlindex.Get("windows-1252"); err == nil {
			if out, err := e.NewDecoder().Bytes(octets); err == nil {
				octets = out
			}
		}
	}
	return string(octets)
}
