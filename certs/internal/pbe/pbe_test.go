package pbe

import (
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"golang.org/x/crypto/cryptobyte"
)

var anything = func([]byte) bool { return true }

// TestDeriveOwn compares with what openssl's PKCS12KDF makes, over one and two
// blocks:
//
//	openssl kdf -keylen 24 -kdfopt digest:SHA1 -kdfopt hexpass:0073006d006500670000 \
//	  -kdfopt hexsalt:0a58cf64530d823f -kdfopt id:1 -kdfopt iter:1 PKCS12KDF
func TestDeriveOwn(t *testing.T) {
	smeg := []byte("\x00s\x00m\x00e\x00g\x00\x00")
	salt, _ := hex.DecodeString("0a58cf64530d823f")
	got := deriveOwn(sha1.New, smeg, salt, forKey, 1, 24)
	if hex.EncodeToString(got) != "8aaae6297b6cb04642ab5b077851284eb7128f1a2a7fbca3" {
		t.Errorf("key: %x", got)
	}
	if got := deriveOwn(sha1.New, smeg, salt, forIV, 1, 8); hex.EncodeToString(got) != "79993dfe048d3b76" {
		t.Errorf("initial vector: %x", got)
	}
	if got := deriveOwn(sha1.New, nil, nil, forMAC, 3, 20); len(got) != 20 {
		t.Errorf("of nothing: %x", got)
	}
}

func TestForms(t *testing.T) {
	for password, want := range map[string][]string{
		"a": {"\x00a\x00\x00|a", "\x00a\x00\x00|\x00a\x00\x00"},
		"":  {"\x00\x00|", "|", "\x00\x00|\x00\x00"},
		"ä": {"\x00\xe4\x00\x00|\xc3\xa4", "\x00\xc3\x00\xa4\x00\x00|\xc3\xa4", "\x00\xe4\x00\x00|\x00\xe4\x00\x00"},
		"\U0001f511": {"\xd8\x3d\xdd\x11\x00\x00|\xf0\x9f\x94\x91", "\x00\xf0\x00\x9f\x00\x94\x00\x91\x00\x00|\xf0\x9f\x94\x91",
			"\xd8\x3d\xdd\x11\x00\x00|\xd8\x3d\xdd\x11\x00\x00"},
		"\xff": {"\x00\xff\x00\x00|\xff"},
	} {
		var got []string
		for _, f := range Forms(password) {
			got = append(got, string(f.Wide)+"|"+string(f.Plain))
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%q: %q", password, got)
		}
	}
}

func TestSealedKeysOpen(t *testing.T) {
	info := append([]byte{0x30, 100}, make([]byte, 100)...)
	sealed, err := SealKey(info, "secret", 10)
	if err != nil {
		t.Fatal(err)
	}
	b := NewBudget(PerFile)
	got, err := OpenKey(sealed, Forms("secret"), b)
	if err != nil || !bytes.Equal(got, info) {
		t.Errorf("%x, %v", got, err)
	}
	if b.left != PerFile-10 {
		t.Errorf("%d iterations are left of %d", b.left, PerFile)
	}
	if _, err := OpenKey(sealed, Forms("other"), b); !errors.Is(err, ErrPassword) {
		t.Errorf("with another password: %v", err)
	}
	if _, err := OpenKey(sealed, Forms("secret"), NewBudget(9)); !errors.Is(err, errWork) {
		t.Errorf("with too small a budget: %v", err)
	}
	again, _ := SealKey(info, "secret", 10)
	if bytes.Equal(again, sealed) {
		t.Error("sealed without salt")
	}
	for n := range sealed {
		if _, err := OpenKey(sealed[:n], Forms("secret"), b); !errors.Is(err, errMalformed) {
			t.Fatalf("of %d octets: %v", n, err)
		}
	}
}

// TestFormsOfOldPrograms opens what is sealed under a form that no current
// program writes.
func TestFormsOfOldPrograms(t *testing.T) {
	info := []byte{0x30, 2, 5, 0}
	sealed, _ := SealKey(info, "\x00\xe4\x00\x00", 1) // NSS once: UTF-16 in PBKDF2
	if got, err := OpenKey(sealed, Forms("ä"), NewBudget(PerFile)); err != nil || !bytes.Equal(got, info) {
		t.Errorf("%x, %v", got, err)
	}
}

// TestWorkIsSpentBeforeItIsDone has every derivation meet an empty budget.
func TestWorkIsSpentBeforeItIsDone(t *testing.T) {
	salt := "\x04\x08saltsalt"
	for name, alg := range map[string]string{
		"own":    der(0x30, "\x06\x0a\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x01\x03"+der(0x30, salt+"\x02\x01\x05")),
		"pbkdf2": pbes2("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0c" + der(0x30, salt+"\x02\x01\x05")),
		"scrypt": pbes2("\x06\x09\x2b\x06\x01\x04\x01\xda\x47\x04\x0b" + der(0x30, salt+"\x02\x01\x10\x02\x01\x01\x02\x01\x01")),
	} {
		for _, left := range []int{0, PerFile} {
			s := cryptobyte.String(alg)
			scheme, err := ReadScheme(&s, NewBudget(left))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			_, err = scheme.Open(make([]byte, 16), Forms("x"), anything)
			if want := map[int]error{0: errWork, PerFile: ErrPassword}[left]; !errors.Is(err, want) {
				t.Errorf("%s with %d iterations left: %v", name, left, err)
			}
		}
	}
}

func TestParametersAreChecked(t *testing.T) {
	salt := "\x04\x08saltsalt"
	kdf := func(s string) string {
		return pbes2("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0c" + der(0x30, salt+s))
	}
	scrypt := func(s string) string {
		return pbes2("\x06\x09\x2b\x06\x01\x04\x01\xda\x47\x04\x0b" + der(0x30, salt+s))
	}
	for name, c := range map[string]struct {
		alg  string
		want error
	}{
		"no iterations":       {kdf("\x02\x01\x00"), errMalformed},
		"less than none":      {kdf("\x02\x01\xff"), errMalformed},
		"beyond any number":   {kdf("\x02\x10" + strings.Repeat("\x7f", 16)), errWork},
		"just too many":       {kdf("\x02\x04\x00\x98\x96\x81"), errWork},
		"key of gigabytes":    {kdf("\x02\x01\x05\x02\x04\x7f\xff\xff\xff"), errMalformed},
		"key of another size": {kdf("\x02\x01\x05\x02\x01\x10"), errMalformed},
		"strange function":    {kdf("\x02\x01\x05" + der(0x30, "\x06\x02\x2a\x03")), ErrUnsupported},
		"scrypt, big N":       {scrypt("\x02\x04\x10\x00\x00\x00\x02\x01\x01\x02\x01\x01"), errWork},
		"scrypt, big r":       {scrypt("\x02\x01\x02\x02\x04\x10\x00\x00\x00\x02\x01\x01"), errWork},
		"scrypt, big p":       {scrypt("\x02\x01\x02\x02\x01\x01\x02\x04\x10\x00\x00\x00"), errWork},
		"scrypt, no N":        {scrypt("\x02\x01\x00\x02\x01\x01\x02\x01\x01"), errMalformed},
		"unknown":             {der(0x30, "\x06\x02\x2a\x03"), ErrUnsupported},
		"unknown derivation":  {pbes2("\x06\x02\x2a\x03" + der(0x30, salt)), ErrUnsupported},
		"nothing":             {"", errMalformed},
	} {
		s := cryptobyte.String(c.alg)
		if _, err := ReadScheme(&s, NewBudget(PerFile)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// pbes2 is PBES2 with the derivation and AES-256-CBC.
func pbes2(kdf string) string {
	aes := der(0x30, "\x06\x09\x60\x86\x48\x01\x65\x03\x04\x01\x2a"+der(4, strings.Repeat("i", 16)))
	return der(0x30, "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0d"+der(0x30, der(0x30, kdf)+aes))
}

func der(tag byte, contents string) string {
	return string([]byte{tag, byte(len(contents))}) + contents
}
