package testpki

import (
	"bytes"
	"encoding/base64"
)

// Base64 returns data as base64 in lines of 76 octets, as a body part has it.
func Base64(data []byte) []byte {
	text := base64.StdEncoding.AppendEncode(nil, data)
	var lines bytes.Buffer
	for len(text) > 0 {
		n := min(len(text), 76)
		lines.Write(text[:n])
		lines.WriteString("\r\n")
		text = text[n:]
	}
	return lines.Bytes()
}
