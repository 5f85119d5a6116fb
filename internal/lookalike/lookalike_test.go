package lookalike

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// spellings are what a reader takes for [signed].
var spellings = []string{
	"[signed]", "[SIGNED]", "[Signed]", "[sIgNeD]", "[ signed ]", "[s i g n e d]", "[\tsigned]", "[signed\u00a0]", "[\u2003signed\u2009]", "[si\u200bgned]",
	"[si\u200cgned]", "[si\u200dgned]", "[si\u2060gned]", "[si\ufeffgned]", "[si\u00adgned]", "[si\u034fgned]", "[si\u180egned]", "[si\u3164gned]", "[si\u115fgned]", "[si\u2800gned]",
	"\u202e[signed]", "[\u202dsigned\u202c]", "[\u2066signed\u2069]", "\u202e[\u202csigned]", "[s\u0301igned]", "[s\u0336i\u0336gned]", "[sígned]", "[si\u0307gned]", "[signéd]", "[ŝigned]", "[si\ufe0fgned]",
	"［signed］", "[ｓｉｇｎｅｄ]", "［ＳＩＧＮＥＤ］", "[𝐬𝐢𝐠𝐧𝐞𝐝]", "[𝑠𝑖𝑔𝑛𝑒𝑑]", "[𝓼𝓲𝓰𝓷𝓮𝓭]", "[𝔰𝔦𝔤𝔫𝔢𝔡]", "[𝕤𝕚𝕘𝕟𝕖𝕕]", "[𝗌𝗂𝗀𝗇𝖾𝖽]", "[𝚜𝚒𝚐𝚗𝚎𝚍]",
	"[ⓢⓘⓖⓝⓔⓓ]", "[ˢⁱᵍⁿᵉᵈ]", "[ſigned]", "[ѕigned]", "[sіgned]", "[signеd]", "[siɡned]", "[sigոed]", "[ѕіɡոеԁ]", "[sıgned]",
	"[ꜱɪɢɴᴇᴅ]", "[s1gned]", "[s!gned]", "[5igned]", "[sign3d]", "[slgned]", "【signed】", "〔signed〕", "⟦signed⟧", "(signed)",
	"{signed}", "<signed>", "⁅signed⁆", "「signed」", "[sig[signed]ned]", "[si\U000e0067gned]", "[si\ue000gned]", "[$igned]", "❲signed❳", "[\u0000signed]",
}

func TestEverySpellingIsCut(t *testing.T) {
	if len(spellings) < 60 {
		t.Errorf("%d spellings", len(spellings))
	}
	for _, s := range spellings {
		for _, text := range []string{s + " hello", "Re: " + s + " hello", "hello " + s} {
			got := Cut(text, []string{"[encrypted]", "[signed]"})
			if strings.Contains(got, "igned") || !strings.Contains(got, "hello") || len(got) > len("Re: hello")+3 {
				t.Errorf("%q becomes %q", text, got)
			}
		}
	}
}

func TestOtherTextStays(t *testing.T) {
	for _, s := range []string{"", "signed", "[sign]", "designed by us", "the contract is signed", "Größe [2/3]", "подписано", "[assigned]"} {
		if got := Cut(s, []string{"[signed]", "", "\u200b"}); got != s {
			t.Errorf("%q becomes %q", s, got)
		}
	}
}

// Whatever is cut, none is left, and nothing is added.
func TestCutIsComplete(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOf(rapid.OneOf(rapid.SampledFrom(spellings), rapid.StringN(0, 4, -1))).Draw(t, "parts")
		s := strings.Join(parts, "")
		got := Cut(s, []string{"[signed]"})
		if has(got, "[signed]") {
			t.Fatalf("%q becomes %q", s, got)
		}
		if len(got) > len(s) && utf8.ValidString(s) || utf8.ValidString(s) && !utf8.ValidString(got) {
			t.Fatalf("%q becomes %q", s, got)
		}
	})
}

// has reports whether a spelling of word is in s.
func has(s, word string) bool {
	folded := func(s string) string {
		var b strings.Builder
		for _, r := range s {
			b.WriteString(string(fold(r)))
		}
		return b.String()
	}
	return strings.Contains(folded(s), folded(word))
}

// A character of several letters goes as a whole, and what is before it and after it
// may be a word then.
func TestCharactersOfSeveralLetters(t *testing.T) {
	for in, want := range map[string]string{
		"a ﬁne b": "a b", "a ﬁﬁnene b": "a b", "aﬁxﬁne": "aﬁx",
	} {
		if got := Cut(in, []string{"ine"}); got != want {
			t.Errorf("%q becomes %q", in, got)
		}
	}
}

// The work is in proportion to the text, however often a word is in it.
func TestManyWordsAreCut(t *testing.T) {
	const n = 200_000
	for _, s := range []string{strings.Repeat("[signed] ", n), strings.Repeat("[sig", n) + strings.Repeat("ned]", n)} {
		if got := Cut(s, []string{"[signed]", "[encrypted]"}); got != "" {
			t.Errorf("%d octets are left", len(got))
		}
	}
}
