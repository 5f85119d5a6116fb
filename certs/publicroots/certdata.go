package publicroots

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/internal/pkix"
)

// object is one object of certdata.txt: attributes by their names. Octal values are
// decoded, all others are as they stand.
type object map[string]string

// The attributes and values of certdata.txt that count.
const (
	class          = "CKA_CLASS"
	isCertificate  = "CKO_CERTIFICATE"
	issuer         = "CKA_ISSUER"
	serial         = "CKA_SERIAL_NUMBER"
	value          = "CKA_VALUE"
	distrustEmail  = "CKA_NSS_EMAIL_DISTRUST_AFTER"
	trustEmail     = "CKA_TRUST_EMAIL_PROTECTION"
	trustedForAll  = "CKT_NSS_TRUSTED_DELEGATOR"
	multilineOctal = "MULTILINE_OCTAL"
)

// isTrust are the classes of objects that say what a certificate is trusted for: the
// name of the class has changed.
var isTrust = []string{"CKO_NSS_TRUST", "CKO_TRUST"}

// Parse reads certdata.txt: the certificates that are trusted to issue certificates for
// mail. source and date are for the list.
func Parse(data []byte, source string, date time.Time) (*List, error) {
	objects, err := parseObjects(data)
	if err != nil {
		return nil, fmt.Errorf("certdata.txt: %w", err)
	}
	trusted := make(map[string]bool)
	for _, o := range objects {
		if slices.Contains(isTrust, o[class]) && o[trustEmail] == trustedForAll {
			trusted[o[issuer]+"\x00"+o[serial]] = true
		}
	}
	l := &List{Source: source, SHA256: sha256.Sum256(data), Date: date}
	for _, o := range objects {
		if o[class] != isCertificate || !trusted[o[issuer]+"\x00"+o[serial]] {
			continue
		}
		r, err := o.root()
		if err != nil {
			return nil, fmt.Errorf("certdata.txt: %s: %w", o["CKA_LABEL"], err)
		}
		l.Roots = append(l.Roots, r)
	}
	if len(l.Roots) == 0 {
		return nil, errors.New("certdata.txt: no certificate is trusted for mail; is it the file of NSS?")
	}
	slices.SortFunc(l.Roots, func(a, b Root) int {
		return strings.Compare(string(a.Certificate.RawSubject)+string(a.Certificate.Raw), string(b.Certificate.RawSubject)+string(b.Certificate.Raw))
	})
	return l, nil
}

// root is the authority that an object describes.
func (o object) root() (Root, error) {
	cert, err := pkix.ParseCertificate([]byte(o[value]))
	if err != nil {
		return Root{}, err
	}
	r := Root{Certificate: cert}
	switch after := o[distrustEmail]; after {
	case "", "CK_FALSE":
	default:
		// A UTCTime (RFC 5280 section 4.1.2.5.1) without its header.
		if r.DistrustAfter, err = time.Parse("060102150405Z", after); err != nil {
			return Root{}, fmt.Errorf("%s: %w", distrustEmail, err)
		}
	}
	return r, nil
}

// parseObjects reads the objects: each begins with its class.
func parseObjects(data []byte) ([]object, error) {
	var all []object
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, 1<<20)
	number := 0
	next := func() (string, bool) {
		number++
		ok := lines.Scan()
		return strings.TrimSpace(lines.Text()), ok
	}
	for {
		line, ok := next()
		if !ok {
			return all, lines.Err()
		}
		name, rest, _ := strings.Cut(line, " ")
		if !strings.HasPrefix(name, "CKA_") {
			continue // a comment, a blank line, or BEGINDATA
		}
		if name == class {
			all = append(all, object{})
		}
		if len(all) == 0 {
			return nil, fmt.Errorf("line %d: %s before any class", number, name)
		}
		kind, text, _ := strings.Cut(rest, " ")
		if kind == multilineOctal {
			at := number
			var err error
			if text, err = octal(next); err != nil {
				return nil, fmt.Errorf("line %d: %s: %w", at, name, err)
			}
		}
		all[len(all)-1][name] = text
	}
}

// octal decodes lines such as \060\202 up to END.
func octal(next func() (string, bool)) (string, error) {
	var b strings.Builder
	for {
		line, ok := next()
		if !ok {
			return "", errors.New("END is missing")
		}
		if line == "END" {
			return b.String(), nil
		}
		for _, digits := range strings.Split(strings.TrimPrefix(line, `\`), `\`) {
			n, err := strconv.ParseUint(digits, 8, 8)
			if err != nil {
				return "", fmt.Errorf("%q is not octal", digits)
			}
			b.WriteByte(byte(n))
		}
	}
}
