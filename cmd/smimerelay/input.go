package main

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/file"
	"github.com/smimerelay/smimerelay/internal/printable"
	"github.com/smimerelay/smimerelay/smime/message"
)

// maxInput is the largest message that the offline verbs read.
const maxInput = 1 << 30

// readCanonical reads a message from a file, or from standard input when path is "" or
// "-", as one that will be sent: its line ends become CRLF.
func (a *app) readCanonical(path string) (*message.Message, error) {
	raw, err := a.readInput(path)
	if err != nil {
		return nil, unusable(err)
	}
	m, err := message.Parse(message.Canonical(withoutMboxLine(raw)))
	if err != nil {
		return nil, unusableMessage(path, err)
	}
	return m, nil
}

// withoutMboxLine removes the line with which a mailbox file begins a message (RFC
// 4155). It looks like a field From with a blank before its colon, which is one
// (RFC 5322 section 4.5).
func withoutMboxLine(raw []byte) []byte {
	line, rest, found := bytes.Cut(raw, []byte("\n"))
	envelope, isLine := bytes.CutPrefix(line, []byte("From "))
	if !found || !isLine || bytes.HasPrefix(bytes.TrimLeft(envelope, " \t"), []byte(":")) {
		return raw
	}
	return rest
}

func (a *app) readInput(path string) ([]byte, error) {
	r := a.stdin
	if path != "" && path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("%w; check the path", err)
		}
		defer f.Close()
		r = f
	}
	var b bytes.Buffer
	b.Grow(sizeOf(r) + bytes.MinRead)
	_, err := b.ReadFrom(io.LimitReader(r, maxInput+1))
	raw := b.Bytes()
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", inputName(path), err)
	case len(raw) > maxInput:
		return nil, fmt.Errorf("%s: larger than %d octets; use a smaller message", inputName(path), maxInput)
	case len(raw) == 0:
		return nil, fmt.Errorf("%s: empty; use a file that contains a message", inputName(path))
	}
	return raw, nil
}

// sizeOf returns the size of a file, 0 where that is not known beforehand: a
// large message then grows in memory by copying.
func sizeOf(r io.Reader) int {
	f, ok := r.(*os.File)
	if !ok {
		return 0
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return 0
	}
	return int(min(info.Size(), maxInput))
}

func inputName(path string) string {
	if path == "" || path == "-" {
		return "standard input"
	}
	return path
}

// readSome is readCertificates for files of which every certificate helps and none
// is indispensable: what cannot be read is a warning.
func (a *app) readSome(flag string, paths []string) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	for _, path := range paths {
		found, skipped, err := readFile(flag, path)
		if err != nil {
			return nil, err
		}
		for _, s := range skipped {
			a.say("warning: %s: %s", flag, s)
		}
		all = append(all, found...)
	}
	return all, nil
}

// readFirst reads a file of which the first certificate is meant and the others
// help.
func (a *app) readFirst(flag, path string) ([]*x509.Certificate, error) {
	found, skipped, err := readFile(flag, path)
	if err != nil {
		return nil, err
	}
	for _, s := range skipped {
		if s.Number == 1 {
			return nil, indispensable(flag, s)
		}
		a.say("warning: %s: %s", flag, s)
	}
	return found, nil
}

// readCertificates reads and joins files of certificates, all of which are meant.
func readCertificates(flag string, paths []string) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	for _, path := range paths {
		found, skipped, err := readFile(flag, path)
		if err != nil {
			return nil, err
		}
		if len(skipped) > 0 {
			return nil, indispensable(flag, skipped[0])
		}
		all = append(all, found...)
	}
	return all, nil
}

// readFile reads the certificates of a file, and says which of them cannot be read.
func readFile(flag, path string) ([]*x509.Certificate, []*file.SkippedError, error) {
	found, err := file.ReadCertificates(path)
	skipped, err := file.Skipped(err)
	if err != nil {
		return nil, nil, badFile(flag, err)
	}
	return found, skipped, nil
}

// indispensable is the error of a certificate that is meant and cannot be read.
func indispensable(flag string, s *file.SkippedError) error {
	return unusable(fmt.Errorf("%s: certificates %q: certificate %d in it cannot be read: %w; ask its owner for another one", flag, s.File, s.Number, s.Err))
}

// badFile is the error of a file that a flag names. Most that can be wrong in it has a
// remedy of its own.
func badFile(flag string, err error) error {
	if _, ok := errors.AsType[*fs.PathError](err); ok {
		return unusable(fmt.Errorf("%s: %w; check the path", flag, err))
	}
	if !strings.Contains(err.Error(), "; ") {
		err = fmt.Errorf("%w; use a file in PEM, DER, .p7b or .sst", err)
	}
	return unusable(fmt.Errorf("%s: %w", flag, err))
}

// noFile is the error of an argument that should be a file: one that is not there, or cannot be
// read, before what else could be wrong with it.
func noFile(path string, err error, remedy string) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return unusable(fmt.Errorf("%s: %w; %s", path, e.Err, remedy))
	}
	return unusable(fmt.Errorf("%w; %s", err, remedy))
}

// readPassword returns the first line of a file, "" when none is named.
func readPassword(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return "", unusable(fmt.Errorf("--password-file: %w; check the path", err))
	}
	line, _, _ := strings.Cut(file.SecretText(data), "\n")
	return strings.TrimSuffix(line, "\r"), nil
}

// readIdentities reads identities that one password opens.
func readIdentities(paths []string, passwordFile string) ([]*certs.Identity, error) {
	password, err := readPassword(passwordFile)
	if err != nil {
		return nil, err
	}
	var ids []*certs.Identity
	for _, path := range paths {
		found, err := file.ReadIdentities(path, password)
		if errors.Is(err, file.ErrWrongPassword) {
			err = fmt.Errorf("%w; use --password-file to give the right one", err)
		}
		if err != nil {
			return nil, unusable(fmt.Errorf("--identity: %w", err))
		}
		ids = append(ids, found...)
	}
	return ids, nil
}

// encoder writes JSON to standard output, safe for a terminal too.
func (a *app) encoder() *json.Encoder {
	e := json.NewEncoder(printable.JSON(a.stdout))
	e.SetEscapeHTML(false)
	return e
}

// printJSON writes v with line breaks.
func (a *app) printJSON(v any) error {
	e := a.encoder()
	e.SetIndent("", "  ")
	return e.Encode(v)
}
