package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// What stands for the contents of a file that is not opened.
const (
	sealedPattern = "sealed@sealed.invalid"
	sealedText    = "text of a file"
)

// listPrefix marks a pattern that names a file of patterns.
const listPrefix = "file:"

// lists puts the contents of files in the place of the patterns that name them.
func (d *decoder) lists(dir string, c *Config) {
	for i := range c.Rules {
		r, at := &c.Rules[i], index("rule", i)
		d.patterns(dir, join(at, "sender"), &r.Sender)
		d.patterns(dir, join(at, "except_sender"), &r.ExceptSender)
		d.patterns(dir, join(at, "from"), &r.From)
		d.patterns(dir, join(at, "except_from"), &r.ExceptFrom)
		d.patterns(dir, join(at, "recipient"), &r.Recipient)
		d.patterns(dir, join(at, "except_recipient"), &r.ExceptRecipient)
		d.patterns(dir, join(at, "sender_group"), &r.SenderGroup)
		d.patterns(dir, join(at, "except_sender_group"), &r.ExceptSenderGroup)
		d.patterns(dir, join(at, "recipient_group"), &r.RecipientGroup)
		d.patterns(dir, join(at, "except_recipient_group"), &r.ExceptRecipientGroup)
		d.fromFile(dir, join(at, "footer"), &r.Footer)
		d.fromFile(dir, join(at, "footer_html"), &r.FooterHTML)
	}
	for i := range c.InboundRules {
		r, at := &c.InboundRules[i], index("inbound_rule", i)
		d.patterns(dir, join(at, "sender"), &r.Sender)
		d.patterns(dir, join(at, "except_sender"), &r.ExceptSender)
		d.patterns(dir, join(at, "from"), &r.From)
		d.patterns(dir, join(at, "except_from"), &r.ExceptFrom)
		d.patterns(dir, join(at, "recipient"), &r.Recipient)
		d.patterns(dir, join(at, "except_recipient"), &r.ExceptRecipient)
		d.patterns(dir, join(at, "recipient_group"), &r.RecipientGroup)
		d.patterns(dir, join(at, "except_recipient_group"), &r.ExceptRecipientGroup)
		d.patterns(dir, join(at, "signer"), &r.Signer)
		d.patterns(dir, join(at, "except_signer"), &r.ExceptSigner)
	}
	for i := range c.Routes {
		r, at := &c.Routes[i], index("route", i)
		d.patterns(dir, join(at, "recipient"), &r.Recipient)
		d.patterns(dir, join(at, "except_recipient"), &r.ExceptRecipient)
		d.patterns(dir, join(at, "sender"), &r.Sender)
		d.patterns(dir, join(at, "except_sender"), &r.ExceptSender)
	}
	for i := range c.Enrolments {
		d.patterns(dir, join(index("enrolment", i), "addresses"), &c.Enrolments[i].Addresses)
	}
	for i := range c.Entitled {
		d.patterns(dir, join(index("entitlement", i), "from"), &c.Entitled[i].From)
	}
}

// read returns what is in a file that an option names, relative to dir.
func (d *decoder) read(dir, key, path string) (data []byte, place string, err error) {
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	d.inlined = append(d.inlined, NamedFile{Key: key, Path: path})
	data, err = os.ReadFile(path)
	return data, path, err
}

// fromFile puts the contents of a file in the place of a text that names it.
func (d *decoder) fromFile(dir, key string, text *string) {
	path, ok := strings.CutPrefix(*text, listPrefix)
	if !ok {
		return
	}
	if d.sent {
		*text = sealedText
		d.seal(key)
		return
	}
	data, path, err := d.read(dir, key, path)
	switch {
	case err != nil:
		d.complain(key, "check the path and who may read it", "%q: %s", path, reason(err))
	case strings.TrimSpace(string(data)) == "":
		d.complain(key, "put the text into it, or remove the line", "%q: has no text", path)
	default:
		*text = strings.TrimPrefix(string(data), "\uFEFF") // of a Windows editor
	}
}

func (d *decoder) patterns(dir, key string, patterns *[]string) {
	if !slices.ContainsFunc(*patterns, func(s string) bool { return strings.HasPrefix(s, listPrefix) }) {
		return
	}
	var all []string
	good := true
	for i, s := range *patterns {
		path, ok := strings.CutPrefix(s, listPrefix)
		if !ok {
			all = append(all, s)
			continue
		}
		if d.sent {
			all = append(all, sealedPattern)
			d.seal(index(key, i))
			continue
		}
		data, path, err := d.read(dir, index(key, i), path)
		if err != nil {
			d.complain(index(key, i), "check the path and who may read it", "%q: %s", path, reason(err))
			good = false
			continue
		}
		lines := patternLines(string(data))
		if len(lines) == 0 {
			d.complain(index(key, i), "put one pattern on each line, or remove the file from the list", "%q: has no patterns", path)
		}
		all = append(all, lines...)
	}
	if good {
		*patterns = all
	}
}

// patternLines returns one pattern a line, without blanks and comments. A "#"
// that begins none is part of a pattern: a name cut short would be another one.
func patternLines(text string) []string {
	var all []string
	for line := range strings.Lines(strings.TrimPrefix(text, "\uFEFF")) {
		if i := strings.IndexByte(line, '#'); i == 0 || i > 0 && (line[i-1] == ' ' || line[i-1] == '\t') {
			line = line[:i]
		}
		if line = strings.TrimSpace(line); line != "" {
			all = append(all, line)
		}
	}
	return all
}
