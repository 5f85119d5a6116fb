// Package uri reads PKCS #11 URIs (RFC 7512).
package uri

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// URI is a PKCS #11 URI (RFC 7512 section 2.3) with its values decoded.
type URI struct {
	Path  map[string]string // which token and which of its keys
	Query map[string]string // how to get there
}

// Attributes of the path that we know: each that is there must match.
var pathAttributes = []string{
	"token", "manufacturer", "serial", "model",
	"library-manufacturer", "library-version", "library-description",
	"slot-id", "slot-description", "slot-manufacturer",
	"object", "id", "type",
}

var (
	errScheme   = errors.New(`does not begin with "pkcs11:"; write pkcs11:token=NAME?module-path=LIBRARY`)
	errPINValue = errors.New("pin-value: a PIN in the configuration can be read by all who can read that; write it into a file and name the file: pin-source=file:/path")
	errNoModule = errors.New("names no library; add ?module-path=/path/of/the/library.so")
)

// Parse reads a URI. Errors do not repeat it: it may have a PIN in it.
func Parse(text string) (URI, error) {
	var u URI
	scheme, rest, ok := strings.Cut(text, ":")
	if !ok || !strings.EqualFold(scheme, "pkcs11") {
		return u, errScheme
	}
	path, query, _ := strings.Cut(rest, "?")
	var err error
	if u.Path, err = attributes(path, ";", "&"); err != nil {
		return u, err
	}
	if u.Query, err = attributes(query, "&", "/?|"); err != nil {
		return u, err
	}
	return u, u.check()
}

// attributes reads NAME=VALUE, as often as there are; also lists the characters
// that need no encoding here beyond those of both components.
func attributes(text, separator, also string) (map[string]string, error) {
	found := map[string]string{}
	if text == "" {
		return found, nil
	}
	for attribute := range strings.SplitSeq(text, separator) {
		name, value, ok := strings.Cut(attribute, "=")
		if !ok || name == "" || strings.Trim(name, nameChars) != "" {
			return nil, fmt.Errorf("an attribute is not of the form name=value (they are separated by %q)", separator)
		}
		if _, twice := found[name]; twice {
			return nil, fmt.Errorf("%s: is there twice", name)
		}
		decoded, err := decode(value, also)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		found[name] = decoded
	}
	return found, nil
}

// The characters of names, and those of values that need no encoding (RFC 3986
// section 2.3, pk11-res-avail).
const (
	nameChars  = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	valueChars = nameChars + ".~" + ":[]@!$'()*+,="
)

// decode undoes the percent-encoding (RFC 3986 section 2.1).
func decode(value, also string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(value); i++ {
		c := value[i]
		switch {
		case c == '%' && i+2 < len(value) && isHex(value[i+1]) && isHex(value[i+2]):
			b.WriteByte(unhex(value[i+1])<<4 | unhex(value[i+2]))
			i += 2
		case c == '%':
			return "", errors.New("a percent sign without two hexadecimal digits")
		case strings.IndexByte(valueChars, c) < 0 && strings.IndexByte(also, c) < 0:
			return "", fmt.Errorf("the character %q cannot stand here; write %%%02X", c, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), nil
}

func isHex(c byte) bool { return strings.IndexByte("0123456789abcdefABCDEF", c) >= 0 }

func unhex(c byte) byte {
	switch {
	case c >= 'a':
		return c - 'a' + 10
	case c >= 'A':
		return c - 'A' + 10
	}
	return c - '0'
}

// check refuses what we do not know in the path (RFC 7512 section 2.5: it would
// match nothing), and values that are not what they must be.
func (u URI) check() error {
	for name, value := range u.Path {
		if err := checkAttribute(name, value); err != nil {
			return err
		}
	}
	if _, ok := u.Query["pin-value"]; ok {
		return errPINValue
	}
	if _, err := u.PINFile(); err != nil {
		return err
	}
	if u.Query["module-path"] == "" && u.Query["module-name"] == "" {
		return errNoModule
	}
	return nil
}

func checkAttribute(name, value string) error {
	digits := func(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
	switch name {
	case "id":
		return nil // octets
	case "slot-id":
		if !digits(value) {
			return errors.New("slot-id: is not a number")
		}
	case "library-version":
		major, minor, ok := strings.Cut(value, ".")
		if !digits(major) || ok && !digits(minor) {
			return errors.New("library-version: is not a version such as 2.6")
		}
	case "type":
		if value != "private" && value != "cert" {
			return fmt.Errorf("type: %q names nothing that is part of an identity; write private or cert, or leave it out", value)
		}
	}
	if !known(name) {
		return fmt.Errorf("%s: is not an attribute of RFC 7512 that we know; nothing would match", name)
	}
	if !utf8.ValidString(value) {
		return fmt.Errorf("%s: is not UTF-8", name)
	}
	return nil
}

func known(name string) bool {
	for _, n := range pathAttributes {
		if n == name {
			return true
		}
	}
	return false
}

// PINFile returns the path in pin-source; it is empty if there is none. Programs
// are not run, and nothing is fetched.
func (u URI) PINFile() (string, error) {
	source, ok := u.Query["pin-source"]
	if !ok {
		return "", nil
	}
	path, ok := strings.CutPrefix(source, "file:")
	if after, authority := strings.CutPrefix(path, "//"); authority {
		// RFC 8089 section 2: an empty authority or localhost is this host.
		path = strings.TrimPrefix(after, "localhost")
	}
	if !ok || !strings.HasPrefix(path, "/") {
		return "", errors.New("pin-source: is not file:/path")
	}
	return path, nil
}

// Is reports whether an attribute of the path is absent or has this value.
func (u URI) Is(name, value string) bool {
	want, ok := u.Path[name]
	return !ok || want == value
}

// Name is how errors and logs name the token.
func (u URI) Name() string {
	for _, attribute := range []string{"token", "serial", "slot-id", "model", "manufacturer"} {
		if v := u.Path[attribute]; v != "" {
			return v
		}
	}
	return "pkcs11:"
}
