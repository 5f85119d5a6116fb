package message

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/smimerelay/smimerelay/internal/fault"
)

// crlf writes messages readably.
func crlf(s string) []byte { return []byte(strings.ReplaceAll(s, "\n", "\r\n")) }

func parse(t *testing.T, s string) *Message {
	t.Helper()
	m, err := Parse([]byte(s))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// outline writes a tree as one line a part: depth, type, content.
func outline(m *Message) []string {
	var lines []string
	var walk func(p *Part, depth int)
	walk = func(p *Part, depth int) {
		text := strings.ReplaceAll(string(p.Content()), "\r\n", "|")
		if len(p.Children) > 0 {
			text = ""
		}
		lines = append(lines, fmt.Sprintf("%d %s %s", depth, p.MediaType, text))
		for _, c := range p.Children {
			walk(c, depth+1)
		}
	}
	walk(m.Root(), 0)
	return lines
}

func TestTree(t *testing.T) {
	const multi = "Content-Type: multipart/mixed; boundary=b\n\n"
	for _, tt := range []struct {
		name, in string
		want     []string
	}{
		{"empty", "", []string{"0 text/plain "}},
		{"header only", "Subject: x\n", []string{"0 text/plain "}},
		{"no header", "\nbody\n", []string{"0 text/plain body|"}},
		{"plain", "Subject: x\n\nbody\n", []string{"0 text/plain body|"}},
		{"two parts", multi + "pre\n--b\n\none\n--b\nContent-Type: text/html\n\ntwo\n\n--b--\nepi\n",
			[]string{"0 multipart/mixed ", "1 text/plain one", "1 text/html two|"}},
		{"delimiter first, no final line end", multi + "--b\n\none\n--b--",
			[]string{"0 multipart/mixed ", "1 text/plain one"}},
		{"never closed", multi + "--b\n\none\n", []string{"0 multipart/mixed ", "1 text/plain one|"}},
		{"empty part", multi + "--b\n\n--b--\n", []string{"0 multipart/mixed ", "1 text/plain "}},
		{"part without header and body", multi + "--b\n--b--\n", []string{"0 multipart/mixed ", "1 text/plain "}},
		{"part cut in its header", multi + "--b\nContent-Type: text/html\n--b--\n",
			[]string{"0 multipart/mixed ", "1 text/html "}},
		{"white space behind the boundary", multi + "--b \t\n\none\n--b--  \n",
			[]string{"0 multipart/mixed ", "1 text/plain one"}},
		{"longer boundary is none", multi + "--b\n\none\n--bb\ntwo\n--b--\n",
			[]string{"0 multipart/mixed ", "1 text/plain one|--bb|two"}},
		{"after the close nothing opens", multi + "--b\n\none\n--b--\n--b\n\ntwo\n",
			[]string{"0 multipart/mixed ", "1 text/plain one"}},
		{"outer delimiter ends inner multipart",
			multi + "--b\nContent-Type: multipart/alternative; boundary=\"c\"\n\n--c\n\nx\n--b\n\ny\n--b--\n",
			[]string{"0 multipart/mixed ", "1 multipart/alternative ", "2 text/plain x", "1 text/plain y"}},
		{"inner boundary extends the outer",
			multi + "--b\nContent-Type: multipart/alternative; boundary=b2\n\n--b2\n\nx\n--b2--\n\n--b--\n",
			[]string{"0 multipart/mixed ", "1 multipart/alternative ", "2 text/plain x"}},
		{"message in message", "Content-Type: message/rfc822\n\nSubject: in\nContent-Type: text/html\n\nbody\n",
			[]string{"0 message/rfc822 ", "1 text/html body|"}},
		{"encoded message stays closed",
			"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3Vi\n",
			[]string{"0 message/rfc822 U3Vi|"}},
		{"digest", "Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: s\n\nhi\n--b--\n",
			[]string{"0 multipart/digest ", "1 message/rfc822 ", "2 text/plain hi"}},
		{"no boundary", "Content-Type: multipart/mixed\n\n--\n--b\n", []string{"0 multipart/mixed --|--b|"}},
		{"unreadable type", "Content-Type: text\n\nx\n", []string{"0 text/plain x|"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, in := range []string{tt.in, strings.ReplaceAll(tt.in, "\n", "\r\n")} {
				m := parse(t, in)
				got := outline(m)
				for i := range got {
					got[i] = strings.ReplaceAll(got[i], "\n", "|")
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("%q (-want +got):\n%s", in, diff)
				}
			}
		})
	}
}

func TestPartBytes(t *testing.T) {
	m := parse(t, string(crlf("Content-Type: multipart/signed; boundary=b\n\npre\n--b\nA: 1\n\nx \n\n--b\n\nsig\n--b--\nepi")))
	first := m.Root().Children[0]
	if got, want := string(first.Bytes()), "A: 1\r\n\r\nx \r\n"; got != want {
		t.Errorf("signed bytes are %q, want %q", got, want)
	}
	if !m.Root().Closed {
		t.Error("closing delimiter not seen")
	}
}

func TestDefects(t *testing.T) {
	for header, want := range map[string]string{
		"Content-Type: text/plain\nContent-Type: text/html\n":                        "more than one Content-Type",
		"Content-Transfer-Encoding: 7bit\nContent-Transfer-Encoding: base64\n":       "more than one Content-Transfer-Encoding",
		"Content-Type: multipart/mixed; boundary=a; boundary=b\n":                    "an ambiguous Content-Type",
		"Content-Type: multipart/mixed; boundary=a; boundary*=b\n":                   "an ambiguous Content-Type",
		"Content-Type: multipart/mixed; boundary=\"a\n":                              "an ambiguous Content-Type",
		"Content-Type: multipart/mixed; boundary=a junk\n":                           "an ambiguous Content-Type",
		"Content-Type: multipart/mixed\n":                                            "a multipart without a usable boundary",
		"Content-Type: multipart/mixed; boundary=" + strings.Repeat("x", 300) + "\n": "a multipart without a usable boundary",
		"Content-Type: /\n": "an unreadable Content-Type",
		"Content-Type: multipart/mixed; (ok) boundary=\"b\" (fine); charset=x;\n": "",
		"Content-Type: text/plain; boundary=----=_x:1/2\n":                        "",
	} {
		m := parse(t, header+"\n--b\n\n--b--\n")
		if got := m.Root().Defect; got != want {
			t.Errorf("%q: defect %q, want %q", header, got, want)
		}
		if want != "" && len(m.Root().Children) > 0 {
			t.Errorf("%q: went into an ambiguous part", header)
		}
	}
}

func TestRefusedHeaders(t *testing.T) {
	for name, in := range map[string]string{
		"no colon":      "Subject: x\nfoo\n\n",
		"mbox line":     "From mox Sun\nSubject: x\n\n",
		"fold first":    " x\nSubject: x\n\n",
		"bare CR":       "Subject: x\rBcc: y\n\n",
		"empty name":    ": x\n\n",
		"8-bit name":    "Sübject: x\n\n",
		"space in name": "Sub ject: x\n\n",
		"too many":      strings.Repeat("a:\n", maxFields+1),
		"too large":     "a: " + strings.Repeat("x", maxHeader) + "\n\n",
	} {
		_, err := Parse([]byte(in))
		if err == nil {
			t.Errorf("%s: accepted", name)
		} else if fault.Of(err).Kind != fault.Malformed {
			t.Errorf("%s: %v is not of kind malformed", name, err)
		}
	}
}

// What is over the limits is still a message that can be handed on.
func TestLimits(t *testing.T) {
	for name, in := range map[string]string{
		"too deep":       deep(maxDepth),
		"deep messages":  strings.Repeat("Content-Type: message/rfc822\n\n", maxDepth),
		"100,000 deep":   deep(100_000),
		"too many parts": "Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("--b\n\n", maxParts),
		"part fields":    "Content-Type: multipart/mixed; boundary=b\n\n--b\n" + strings.Repeat("a:\n", maxFields),
	} {
		root := parse(t, in).Root()
		if !root.Ambiguous || root.Defect == "" || len(root.Children) > 0 || root.End != len(in) {
			t.Errorf("%s: ambiguous %v, %q, %d children, end %d", name, root.Ambiguous, root.Defect, len(root.Children), root.End)
		}
	}
	for name, in := range map[string]string{
		"deep as allowed": deep(maxDepth - 1),
		"parts allowed":   "Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("--b\n\n", maxParts-1),
	} {
		if root := parse(t, in).Root(); root.Ambiguous || len(root.Children) == 0 {
			t.Errorf("%s: %q", name, root.Defect)
		}
	}
}

// deep returns a message with n multiparts around one text.
func deep(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i)
	}
	b.WriteString("\nx\n")
	return b.String()
}

// A header of a part that is cut short by a line that is no field must not
// make the message unreadable.
func TestBrokenPartHeader(t *testing.T) {
	m := parse(t, "Content-Type: multipart/mixed; boundary=b\n\n--b\nX: 1\nnot a field\n--b--\n")
	p := m.Root().Children[0]
	if string(p.Content()) != "not a field" || p.Defect == "" {
		t.Errorf("content %q, defect %q", p.Content(), p.Defect)
	}
}
