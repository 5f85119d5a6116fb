package message

import (
	"strings"
	"testing"
)

func TestBare(t *testing.T) {
	const head = "Content-Type: multipart/mixed; boundary=b\n\n"
	for text, want := range map[string]bool{
		"--b\n\nx\n--b--\n":         true,
		"--b\n\nx\n--b\n\ny\n--b--": true,
		"This is a MIME-encapsulated message.\n\n--b\n\nx\n--b--\n": true,
		"This is an S/MIME signed message\n--b\n\nx\n--b--\n\n \n":  true,
		"text\n--b\n\nx\n--b--\n":                                   false,
		"--b\n\nx\n--b--\ntext\n":                                   false,
		"--b\n\nx\n":                                                false,
		"--b--\n":                                                   false,
		"":                                                          false,
	} {
		m, err := Parse([]byte(strings.ReplaceAll(head+text, "\n", "\r\n")))
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Root().Bare(); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}
