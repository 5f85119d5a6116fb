package backup

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// keyTexts are in files with private keys in a form of text: PEM of whatever type, OpenPGP, PuTTY.
var keyTexts = [][]byte{[]byte("PRIVATE KEY-----"), []byte("PRIVATE KEY BLOCK-----"), []byte("PuTTY-User-Key-File-")}

// longestKeyText is how much of a part of a file can be the beginning of one.
const longestKeyText = len("PRIVATE KEY BLOCK-----")

// hasSecret reports whether a file has a private key, or a password of one, whatever the option is
// for that names it: many programs want certificate and key in one file, and people put all that
// belongs to a certificate into one folder. Errors are those of the file system.
func hasSecret(path string) (bool, error) {
	if strings.HasSuffix(filepath.Base(path), ".password") { // see identities.path
		return true, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	buf, kept := make([]byte, 64<<10), 0
	for first := true; ; first = false {
		n, err := io.ReadFull(f, buf[kept:])
		text := buf[:kept+n]
		if first && isBinaryKey(text) {
			return true, nil
		}
		for _, word := range keyTexts {
			if bytes.Contains(text, word) {
				return true, nil
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		kept = copy(buf, text[max(0, len(text)-longestKeyText):])
	}
}

// The first octets of key stores of Java.
var javaStores = [][]byte{{0xfe, 0xed, 0xfe, 0xed}, {0xce, 0xce, 0xce, 0xce}}

// The tags that matter below.
const (
	tagInteger = 0x02
	tagOctets  = 0x04
	tagObject  = 0x06
	tagList    = 0x30
)

// encryptions begin the object identifiers of what an encrypted key is encrypted with: PKCS #5, and
// appendix C of RFC 7292.
var encryptions = [][]byte{
	{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05},
	{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x01},
}

// isBinaryKey reports whether a file begins like PKCS #12, PKCS #8 (RFC 5958), also encrypted, PKCS
// #1 or SEC 1 in BER. Those begin with a version, which is followed by a list, an octet string or
// a second number; certificates, lists and signed data begin otherwise.
func isBinaryKey(data []byte) bool {
	for _, begin := range javaStores {
		if bytes.HasPrefix(data, begin) {
			return true
		}
	}
	inner, ok := enter(data, tagList)
	if !ok {
		return false
	}
	if len(inner) > 3 && inner[0] == tagInteger && inner[1] == 1 && inner[2] <= 3 {
		return inner[3] == tagList || inner[3] == tagOctets || inner[3] == tagInteger
	}
	algorithm, ok := enter(inner, tagList)
	if !ok || len(algorithm) < 2 || algorithm[0] != tagObject {
		return false
	}
	for _, begin := range encryptions {
		if bytes.HasPrefix(algorithm[2:], begin) {
			return true
		}
	}
	return false
}

// enter returns what is in a value of a tag; its length, which may be indefinite, counts for
// nothing.
func enter(data []byte, tag byte) ([]byte, bool) {
	if len(data) < 2 || data[0] != tag {
		return nil, false
	}
	skip := 2
	if data[1] > 0x80 {
		skip += int(data[1] & 0x7f)
	}
	if len(data) < skip {
		return nil, false
	}
	return data[skip:], true
}
