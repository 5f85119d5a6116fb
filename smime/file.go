package smime

import (
	"bytes"
	"mime"
	"path"
	"strings"

	"github.com/smimerelay/smimerelay/smime/message"
)

// fileName returns the name of the file that a CMS object is around by its own name, as
// in "contract.pdf.p7m"; "" where that names none, as smime.p7m does. Programs that sign
// files (CAdES) sign them as they are, without a MIME header.
func fileName(p *message.Part) string {
	name := p.Filename()
	if !cmsName(name) {
		return ""
	}
	name = name[strings.LastIndexAny(name, `/\`)+1 : len(name)-len(".p7m")]
	if path.Ext(name) == "" {
		return ""
	}
	return name
}

// entityFor reports whether m, which was in a CMS object around a file of the name given,
// is a MIME entity. Text or a file may begin like a header, but does not say what it is;
// where it has no end either, as of "Answer: yes", nothing would be left to show.
func entityFor(m *message.Message, file string) bool {
	root := m.Root()
	return m.Has("Content-Type") || file == "" && (len(m.Fields()) == 0 || root.Body < root.End)
}

// parseEntity parses a MIME entity. What is none is text, or, by its name or its octets, a
// file, of which every octet counts.
func parseEntity(content []byte, file string) (*message.Message, error) {
	if m, err := message.Parse(content); err == nil && entityFor(m, file) {
		return m, nil
	}
	fields := []message.Field{message.RawField("Content-Type", "text/plain; charset="+charset(content))}
	if file != "" || !isText(content) {
		var err error
		if fields, err = fileFields(file); err != nil {
			return nil, err
		}
	}
	return message.Parse(append(message.WriteHeader(fields), content...))
}

// fileFields describe a file. Some readers know the name by either field only.
func fileFields(name string) ([]message.Field, error) {
	field := func(of, value, param string) (message.Field, error) {
		params := make(map[string]string)
		if name != "" {
			params[param] = name
		}
		return message.NewField(of, mime.FormatMediaType(value, params))
	}
	kind, err := field("Content-Type", "application/octet-stream", "name")
	if err != nil {
		return nil, err
	}
	disposition, err := field("Content-Disposition", "attachment", "filename")
	return []message.Field{kind, disposition, message.RawField("Content-Transfer-Encoding", "binary")}, err
}

// isText reports whether no octet says that content is no text: controls other than white
// space, the end of file of DOS, and the escape of ISO 2022.
func isText(content []byte) bool {
	return !bytes.ContainsFunc(content, func(r rune) bool { return r < ' ' && !strings.ContainsRune("\t\n\v\f\r\x1a\x1b", r) })
}
