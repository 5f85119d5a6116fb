package smime

import (
	"bytes"
	"errors"
	"slices"

	"github.com/smimerelay/smimerelay/smime/cms"
	"github.com/smimerelay/smimerelay/smime/message"
)

// withOpenParts returns m with what anybody can read in parts of it that are CMS objects,
// signed or compressed, in their place. What is encrypted stays, and so does what is inside
// of a signature, of a message that is attached, or of what readers take for different
// things; a file that was signed is an attachment like others.
func withOpenParts(m *message.Message, reserve func(octets int64) bool) (*message.Message, error) {
	c := carrier{message: m, readable: true, objects: make(map[*message.Part]*message.Message)}
	if root := m.Root(); root.Multipart() {
		if err := c.find(root, nil, reserve, defaultLayers); err != nil {
			return nil, err
		}
	}
	if len(c.objects) == 0 {
		return m, nil
	}
	fields := c.content(m.Root(), canonicalFields(contentFields(m)))
	return m.Apply(message.Change{Entity: &message.Entity{Fields: fields, Body: c.pieces, Received: true}})
}

// find finds the objects in p. boundaries are those around it, layers is how many may be
// in one another. The error is cms.ErrMemory.
func (c *carrier) find(p *message.Part, boundaries []string, reserve func(octets int64) bool, layers int) error {
	if p.Ambiguous || layers == 0 {
		return nil
	}
	if p.Multipart() {
		if untouchable(p) || p.StructureDoubt() != "" {
			return nil
		}
		for _, child := range p.Children {
			if err := c.find(child, append(slices.Clip(boundaries), p.Params["boundary"]), reserve, layers); err != nil {
				return err
			}
		}
		return nil
	}
	if layerOf(p) != cmsLayer || p.Doubt() != "" {
		return nil
	}
	inner, err := Readable(p, reserve)
	if errors.Is(err, cms.ErrMemory) {
		return err
	}
	if err != nil || inner == nil || !entityFor(inner, fileName(p)) || unambiguous(inner) != nil || bounded(inner.Bytes(), boundaries) {
		return nil
	}
	c.objects[p] = inner
	return c.find(inner.Root(), boundaries, reserve, layers-1)
}

// bounded reports whether a line of content ends a part of one of the boundaries.
func bounded(content []byte, boundaries []string) bool {
	return slices.ContainsFunc(boundaries, func(b string) bool {
		delimiter := []byte("--" + b)
		return bytes.HasPrefix(content, delimiter) || bytes.Contains(content, append([]byte("\n"), delimiter...))
	})
}

// holdsObject reports whether an object is in the parts of p.
func (c *carrier) holdsObject(p *message.Part) bool {
	found := false
	if len(c.objects) > 0 && p.Multipart() {
		p.Walk(func(p *message.Part) bool {
			found = found || c.objects[p] != nil
			return !found
		})
	}
	return found
}

// around adds a multipart that holds objects.
func (c *carrier) around(p *message.Part, fields []message.Field) []message.Field {
	at := len(c.pieces)
	c.multipart(p)
	for _, piece := range c.pieces[at:] {
		if s, ok := piece.(message.Scan); ok && !s.ASCII {
			return withEncoding(fields, p, "8bit")
		}
	}
	return eightBit(fields, p)
}

// object adds what is in an object, and returns the fields that describe it.
func (c *carrier) object(inner *message.Message) []message.Field {
	within := carrier{message: inner, readable: true, objects: c.objects}
	fields := within.content(inner.Root(), canonicalFields(contentFields(inner)))
	c.pieces = append(c.pieces, within.pieces...)
	return fields
}
