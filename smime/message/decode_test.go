package message

import "testing"

func TestDecode(t *testing.T) {
	for _, tt := range []struct{ encoding, in, want string }{
		{"7bit", "a=20b\r\n", "a=20b\r\n"},
		{"base64", "YWJj\r\nZGU=\r\n", "abcde"},
		{"BASE64 (c)", "YW\r\n  JjZGU", "abcde"},
		{"quoted-printable", "a=3Db =\r\nc\r\n", "a=b c\r\n"},
		{"", "x", "x"},
	} {
		head := "Content-Transfer-Encoding: " + tt.encoding + "\r\n\r\n"
		if tt.encoding == "" {
			head = "\r\n"
		}
		got, err := parse(t, head+tt.in).Root().Decode()
		if err != nil || string(got) != tt.want {
			t.Errorf("%s %q: %q, %v", tt.encoding, tt.in, got, err)
		}
	}
	for _, tt := range []struct{ encoding, in string }{
		{"base64", "YWJj!"}, {"base64", "YQ==YQ=="}, {"base64", "YQ==\r\n-- \r\nfooter\r\n"}, {"base64", "Y"},
		{"x-uuencode", "a"},
	} {
		if got, err := parse(t, "Content-Transfer-Encoding: "+tt.encoding+"\r\n\r\n"+tt.in).Root().Decode(); err == nil {
			t.Errorf("%s %q: accepted as %q", tt.encoding, tt.in, got)
		}
	}
}

func TestFilename(t *testing.T) {
	for header, want := range map[string]string{
		"Content-Type: a/b; name=x.p7m\n": "x.p7m",
		"Content-Type: a/b; name=x\nContent-Disposition: attachment;\n filename=\"smime.p7m\"\n":   "smime.p7m",
		"Content-Disposition: attachment; filename*=utf-8''a%20b.p7m\n":                            "a b.p7m",
		"Content-Disposition: attachment; filename*0=\"smi\"; filename*1*=me%2Ep7m\n":              "smime.p7m",
		"Content-Disposition: attachment; filename*1=b; filename*0=a; filename*10=d; filename*2=c": "abcd",
		"Subject: x\n": "",
	} {
		if got := parse(t, header+"\n").Root().Filename(); got != want {
			t.Errorf("%q: %q, want %q", header, got, want)
		}
	}
}
