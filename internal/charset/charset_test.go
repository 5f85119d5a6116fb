package charset

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"
)

func TestDecode(t *testing.T) {
	for charset, want := range map[string][2]string{
		"windows-1252": {"f\xfcr \x80", "für €"}, "CP1252": {"\x80", "€"}, "win-1252": {"\x80", "€"}, "x-ansi-1252": {"\x80", "€"},
		"iso-8859-1": {"\xfc", "ü"}, "ISO8859-1": {"\xfc", "ü"}, "latin1": {"\xfc", "ü"}, "iso_8859-15": {"\xa4", "€"},
		"windows-1251": {"\xf1\xe5\xea\xf0\xe5\xf2", "секрет"}, "koi8-r": {"\xd3\xc5\xcb\xd2\xc5\xd4", "секрет"},
		"koi8-u": {"\xd3", "с"}, "iso-8859-5": {"\xd1", "б"}, "iso-8859-8-i": {"\xe0", "א"}, "windows-874": {"\xa1", "ก"}, "tis-620": {"\xa1", "ก"},
		"cp850": {"\x81", "ü"}, "ibm437": {"\x81", "ü"}, "macintosh": {"\x9f", "ü"}, "x-mac-roman": {"\x9f", "ü"},
		"gb2312": {"\xd6\xd0", "中"}, "gbk": {"\xd6\xd0", "中"}, "cp936": {"\xd6\xd0", "中"}, "gb18030": {"\xd6\xd0", "中"}, "hz-gb-2312": {"~{VP~}", "中"},
		"big5": {"\xa4\xa4", "中"}, "big5-hkscs": {"\xa4\xa4", "中"}, "cp950": {"\xa4\xa4", "中"},
		"shift_jis": {"\x93\xfa", "日"}, "x-sjis": {"\x93\xfa", "日"}, "cp932": {"\x93\xfa", "日"}, "euc-jp": {"\xc6\xfc", "日"},
		"iso-2022-jp": {"\x1b$BF|\x1b(B", "日"}, "iso-2022-jp-ms": {"\x1b$BF|\x1b(B", "日"}, "cp50221": {"\x1b$BF|\x1b(B", "日"},
		"euc-kr": {"\xc7\xd1", "한"}, "ks_c_5601-1987": {"\xc7\xd1", "한"}, "cp949": {"\xc7\xd1", "한"},
		"utf-8": {"\xc3\xbc", "ü"}, "UTF8": {"u\xcc\x88", "ü"}, "utf-16": {"\xfe\xff\x00A", "A"}, "utf-16be": {"\x00A", "A"}, "utf-16le": {"A\x00", "A"},
		"utf-32be": {"\x00\x00\x00A", "A"}, "utf-7": {"[+AFs-A+-", "[[A+"}, "unicode-1-1-utf-7": {"+APw-", "ü"}, "utf7": {"u+Awg-", "ü"}, "UTF-8": {"u\xe2\x80\x8d\xcc\x88", "ü"},
		"us-ascii": {"a", "a"},
	} {
		if got, ok := Decode(charset, []byte(want[0])); got != want[1] || !ok {
			t.Errorf("%s: %q, %t, want %q", charset, got, ok, want[1])
		}
	}
	for charset, octets := range map[string]string{
		"x-unknown": "a", "unknown-8bit": "\xfc", "": "a", "utf-8": "\xfc", "utf-7": "+A-", "shift_jis": "\x93", "iso-2022-cn": "\x1b$)A", "utf-16": "\x00",
	} {
		if got, ok := Decode(charset, []byte(octets)); ok {
			t.Errorf("%s: %q is read as %q", charset, octets, got)
		}
	}
}

func b(charset, octets string) string {
	return fmt.Sprintf("=?%s?B?%s?=", charset, base64.StdEncoding.EncodeToString([]byte(octets)))
}

func TestHeader(t *testing.T) {
	for in, want := range map[string]string{
		"plain": "plain", "Grüße": "Grüße", "a =? b": "a =? b", "": "",
		"=?utf-8?q?a_b=3D?=": "a b=", "=?utf-8*en?Q?x?=": "x", "=?UTF-8*de-DE?b?eA==?=": "x",
		b("windows-1252", "[encrypt] f\xfcr"):                      "[encrypt] für",
		"=?utf-8?q?[enc?= =?utf-8?q?rypt]?=":                       "[encrypt]",
		"=?utf-8?q?[enc?=\t =?iso-8859-1?b?cnlwdF0=?=":             "[encrypt]",
		"=?utf-8?q?=C3?= =?utf-8?q?=BC?=":                          "ü", // split between two words
		"=?utf-8?b?eA?=":                                           "x", // no padding
		"u\u0308":                                                  "ü",
		"u\u200d\u0308":                                            "ü", // what is between them is not shown
		"=?utf-8?q?u?= =?utf-16be?b?Awg=?=":                        "ü", // the accent is a word of its own
		"u=?utf-8?q?=CC=88?=":                                      "ü",
		b("utf-7", "u+Awg-"):                                       "ü",
		"=?utf-8?q?a b?=":                                          "a b",
		`"=?utf-8?q?B=C3=BCcher?=.xlsx"`:                           `"Bücher.xlsx"`,
		"a=?utf-8?q?b?=c":                                          "abc",
		"se\u00adcr\u200bet":                                       "secret",
		"\x1b$BF|\x1b(B [encrypt]":                                 "日 [encrypt]",
		b("iso-2022-jp", "\x1b$BF|") + b("iso-2022-jp", "K\\"):     "日本",
		b("utf-16", "\xff\xfe[\x00a\x00") + b("utf-16le", "]\x00"): "[a]",
	} {
		if got, ok := Header(in); got != want || !ok {
			t.Errorf("%q: %q, %t, want %q", in, got, ok, want)
		}
	}
	for in, want := range map[string]string{
		"f\xfcr [x]": "für [x]", b("x-unknown", "[x]"): "[x]", "a =?utf-8?q?cut off": "a =?utf-8?q?cut off",
		"=?utf-8?z?a?=": "=?utf-8?z?a?=", "=?utf-8?b?a!b?= c": "=?utf-8?b?a!b?= c",
		// Some readers go on behind the padding, and some join words that end within an octet.
		"=?iso-8859-1?b?W3M=aWduZWRd?=": "=?iso-8859-1?b?W3M=aWduZWRd?=",
		"=?utf-8?b?W3N?= x":             "=?utf-8?b?W3N?= x",
	} {
		if got, ok := Header(in); got != want || ok {
			t.Errorf("%q: %q, %t, want %q and unsure", in, got, ok, want)
		}
	}
}

// TestHeaderInEveryCharset: a word is found in each charset that has its letters.
func TestHeaderInEveryCharset(t *testing.T) {
	for name, encode := range map[string]func(string) (string, error){
		"windows-1250": charmap.Windows1250.NewEncoder().String, "iso-8859-2": charmap.ISO8859_2.NewEncoder().String,
		"windows-1257": charmap.Windows1257.NewEncoder().String, "iso-8859-9": charmap.ISO8859_9.NewEncoder().String,
		"gb18030": simplifiedchinese.GB18030.NewEncoder().String, "iso-2022-jp": japanese.ISO2022JP.NewEncoder().String,
		"utf-16le": unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM).NewEncoder().String,
	} {
		octets, err := encode("[encrypt] offer")
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := Header(b(strings.ToUpper(name), octets)); got != "[encrypt] offer" || !ok {
			t.Errorf("%s: %q, %t", name, got, ok)
		}
	}
}

func FuzzHeader(f *testing.F) {
	f.Add("=?utf-8?q?a?= =?utf-16?b?//4=?=")
	f.Add("=?utf-7?q?+AFs-?=")
	f.Fuzz(func(t *testing.T, s string) { Header(s) })
}

// What is plain is read as it is written, and costs nothing.
func TestPlainHeader(t *testing.T) {
	const plain = "Re: minutes\tof = the ? meeting"
	if n := testing.AllocsPerRun(10, func() { Header(plain) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
	for _, value := range []string{plain, "", "=", "a =?= b", "=?utf-8?q?x?=", "x\x00y", "\x1b$B", "\x7f", "a\u00add", "f\xfc", "fu\u0308r"} {
		if isPlain(value) {
			raw, known := rawText(value)
			if got := seen(raw); got != value || !known {
				t.Errorf("%q counts as plain, and is read as %q, %v", value, got, known)
			}
		}
	}
	if !isPlain(plain) || isPlain("a =?= b") || isPlain("\x1b$B") {
		t.Error("plain values are taken for others, or others for plain")
	}
}
