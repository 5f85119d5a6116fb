package test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	netmail "net/mail"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// leaf is what a reader gets of one part of a message, whatever its transfer
// encoding was.
type leaf struct {
	Path    string // where it is in the tree
	Type    string
	Params  map[string]string
	Fields  map[string]string // the other fields that mean something
	Content string
}

// sameContent fails the test unless both entities say the same to a reader: the
// same tree, types, parameters, and octets after canonical line ends.
func sameContent(t *testing.T, got, want []byte) {
	t.Helper()
	gotLeaves, err := leaves("", canonical(got))
	if err != nil {
		t.Fatalf("what arrived does not parse: %v\n%.2000q", err, got)
	}
	wantLeaves, err := leaves("", canonical(want))
	if err != nil {
		t.Fatalf("the test's own message does not parse: %v", err)
	}
	if diff := cmp.Diff(wantLeaves, gotLeaves); diff != "" {
		t.Errorf("the content changed (-sent +arrived):\n%.4000s", diff)
	}
}

// canonical makes every line end CRLF.
func canonical(b []byte) []byte {
	return bytes.ReplaceAll(bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
}

// entityOf returns the Content-* fields and the body of a message.
func entityOf(message []byte) []byte {
	head, body, _ := bytes.Cut(message, []byte("\r\n\r\n"))
	var b bytes.Buffer
	keep := false
	for line := range strings.Lines(string(head) + "\r\n") {
		if line[0] != ' ' && line[0] != '\t' {
			keep = strings.HasPrefix(strings.ToLower(line), "content-")
		}
		if keep {
			b.WriteString(line)
		}
	}
	b.WriteString("\r\n")
	b.Write(body)
	return b.Bytes()
}

// leaves flattens an entity.
func leaves(path string, entity []byte) ([]leaf, error) {
	if bytes.HasPrefix(entity, []byte("\r\n")) {
		entity = append([]byte("Content-Type: text/plain; charset=us-ascii\r\n"), entity...)
	}
	m, err := netmail.ReadMessage(bytes.NewReader(entity))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if m.Header.Get("Content-Type") == "" {
		m.Header["Content-Type"] = []string{"text/plain; charset=us-ascii"}
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	body, err := io.ReadAll(m.Body)
	if err != nil {
		return nil, err
	}
	path += "/" + kind
	switch {
	case kind == "multipart/signed":
		return []leaf{{Path: path, Content: string(body)}}, nil
	case strings.HasPrefix(kind, "multipart/"):
		return partLeaves(path, body, params["boundary"])
	case kind == "message/rfc822":
		inner, err := leaves(path, body)
		return append([]leaf{{Path: path, Fields: fields(m.Header, "Content-Disposition", "Content-Description")}}, inner...), err
	}
	content, err := decode(m.Header.Get("Content-Transfer-Encoding"), body)
	return []leaf{{
		Path: path, Type: kind, Params: params, Content: string(content),
		Fields: fields(m.Header, "Content-Disposition", "Content-ID", "Content-Description", "Subject", "From"),
	}}, err
}

func partLeaves(path string, body []byte, boundary string) ([]leaf, error) {
	var list []leaf
	r := multipart.NewReader(bytes.NewReader(body), boundary)
	for i := 0; ; i++ {
		part, err := r.NextRawPart()
		if err == io.EOF {
			return list, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		content, err := io.ReadAll(part)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		var b bytes.Buffer
		for name, values := range part.Header {
			fmt.Fprintf(&b, "%s: %s\r\n", name, values[0])
		}
		inner, err := leaves(fmt.Sprintf("%s.%d", path, i), append(append(b.Bytes(), "\r\n"...), content...))
		if err != nil {
			return nil, err
		}
		list = append(list, inner...)
	}
}

func fields(h netmail.Header, names ...string) map[string]string {
	found := map[string]string{}
	for _, name := range names {
		if v := h.Get(name); v != "" {
			found[name] = v
		}
	}
	return found
}

func decode(encoding string, body []byte) ([]byte, error) {
	switch strings.ToLower(encoding) {
	case "base64":
		return base64.StdEncoding.DecodeString(strings.Join(strings.Fields(string(body)), ""))
	case "quoted-printable":
		return io.ReadAll(quotedprintable.NewReader(bytes.NewReader(body)))
	}
	return body, nil
}
