//go:build unix

package dovecottest

import (
	"reflect"
	"testing"
)

func TestRead(t *testing.T) {
	for name, tt := range map[string]struct {
		message string
		want    []Part
	}{
		"one part": {"Content-Type: text/html\r\n\r\n<p>", []Part{{"1", "text/html", "", []byte("<p>")}}},
		"parts in parts": {
			"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\n" +
				"Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\nAAE=\r\n--b--\r\n--a\r\nContent-Type: application/pdf; name=\"a \\\" (b\"\r\n\r\n\r\n--a--\r\n",
			[]Part{{"1.1", "text/plain", "", []byte("one")}, {"1.2", "text/html", "", []byte{0, 1}}, {"2", "application/pdf", `a " (b`, nil}},
		},
		"a message": {"Content-Type: message/rfc822\r\n\r\nContent-Type: text/html\r\n\r\nx", []Part{{"1", "message/rfc822", "", []byte("Content-Type: text/html\r\n\r\nx")}}},
	} {
		got := Read(t, []byte(tt.message))
		for i := range got {
			if len(got[i].Content) == 0 {
				got[i].Content = nil
			}
		}
		if !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %+v, want %+v", name, got, tt.want)
		}
	}
}
