package smime

import (
	"bytes"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/smime/message"
)

func TestSevenBit(t *testing.T) {
	const text = "Grüße\r\n.\r\nund   \r\n"
	m := parse(t, "From: a@example.org\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n"+
		"Content-Transfer-Encoding: 8bit\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"+
		text+"\r\n--b\r\n\r\nplain\r\n--b--\r\n")
	got, err := SevenBit(m)
	if err != nil {
		t.Fatal(err)
	}
	if !message.ScanLines(got.Bytes()).ASCII {
		t.Errorf("still 8-bit:\n%s", got.Bytes())
	}
	if len(got.Root().Children) != 2 || got.Get("Subject") != "x" {
		t.Fatalf("became\n%s", got.Bytes())
	}
	data, err := got.Root().Children[0].Decode()
	if err != nil || !bytes.Equal(data, []byte(text)) {
		t.Errorf("content %q, %v", data, err)
	}
}

func TestSevenBitKeepsSigned(t *testing.T) {
	m := parse(t, "From: a@example.org\r\nMIME-Version: 1.0\r\n"+
		"Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=b\r\n\r\n"+
		"--b\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße\r\n--b\r\n\r\nx\r\n--b--\r\n")
	if got, err := SevenBit(m); err == nil || !strings.Contains(err.Error(), "must not be re-encoded") {
		t.Errorf("%v, %v", got, err)
	}
}
