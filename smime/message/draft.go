package message

// Draft is a message that is not written in one piece of memory: a header, and a body
// of pieces, which may be those of another message.
type Draft struct {
	fields []Field
	body   []Piece
	// joined is the message, once it was asked for.
	joined *Message
}

// Draft returns what Apply would write.
func (m *Message) Draft(c Change) (*Draft, error) {
	fields, err := c.header(m.canonicalFields())
	if err != nil {
		return nil, err
	}
	body, err := c.body(m)
	if err != nil {
		return nil, err
	}
	return &Draft{fields: fields, body: body}, nil
}

// Fields returns the header fields in order.
func (d *Draft) Fields() []Field { return d.fields }

// Body returns the octets of the body in the order in which they are to be joined.
// What is not written yet is, once: the message has the same octets afterwards.
func (d *Draft) Body() ([][]byte, error) {
	var list [][]byte
	for i, piece := range d.body {
		written, err := octets(piece, list)
		if err != nil {
			return nil, err
		}
		d.body[i] = Scan{CRLF: true, text: written} // as it was checked
		list = append(list, written)
	}
	return list, nil
}

// octets returns those of one piece behind others.
func octets(piece Piece, before [][]byte) ([]byte, error) {
	switch p := piece.(type) {
	case Text:
		return p, nil
	case Scan:
		return p.text, nil
	case laterPiece:
		made, err := p.made(before)
		if err != nil {
			return nil, err
		}
		return octets(made, before)
	}
	return piece.appendTo(nil)
}

// Message returns the draft as a message in one piece.
func (d *Draft) Message() (*Message, error) {
	if d.joined == nil {
		m, err := render(d.fields, d.body)
		if err != nil {
			return nil, err
		}
		d.joined = m
	}
	return d.joined, nil
}

// Apply is Message.Apply for a draft. c must have an Entity.
func (d *Draft) Apply(c Change) (*Message, error) {
	fields, err := c.header(d.fields)
	if err != nil {
		return nil, err
	}
	body, err := c.body(nil)
	if err != nil {
		return nil, err
	}
	return render(fields, body)
}
