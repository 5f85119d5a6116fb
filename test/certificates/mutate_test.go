package certificates

import (
	"math/rand/v2"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// node is an element of DER: constructed with children, or primitive with content.
type node struct {
	tag      cryptobyte_asn1.Tag
	children []*node
	content  []byte
}

// tree takes DER apart, also what is in OCTET STRINGs and looks like it.
func tree(der []byte) ([]*node, bool) {
	var list []*node
	for s := cryptobyte.String(der); !s.Empty(); {
		var value cryptobyte.String
		n := &node{}
		if !s.ReadAnyASN1(&value, &n.tag) {
			return nil, false
		}
		n.content = value
		if n.tag&0x20 != 0 || n.tag == cryptobyte_asn1.OCTET_STRING && len(value) > 2 {
			if children, ok := tree(value); ok {
				n.children, n.content = children, nil
			}
		}
		list = append(list, n)
	}
	return list, true
}

func (n *node) der() []byte {
	var b cryptobyte.Builder
	content := n.content
	for _, c := range n.children {
		content = append(content, c.der()...)
	}
	b.AddASN1(n.tag, func(b *cryptobyte.Builder) { b.AddBytes(content) })
	return b.BytesOrPanic()
}

// all lists the elements below n, n included.
func (n *node) all() []*node {
	list := []*node{n}
	for _, c := range n.children {
		list = append(list, c.all()...)
	}
	return list
}

// tags are those that elements of certificates have, the string types before all.
var tags = []cryptobyte_asn1.Tag{12, 19, 20, 22, 28, 30, 18, 26, 3, 4, 1, 2, 5, 6, 23, 24, 48, 49, 0x81, 0x82, 0x86, 0xa0, 0xa3, 0xa4}

// mutate changes a certificate in one way: half of the time octets as they stand,
// else its structure, with all lengths right.
func mutate(r *rand.Rand, der []byte) []byte {
	out := append([]byte(nil), der...)
	if r.IntN(4) == 0 {
		for range 1 + r.IntN(2) {
			// Not in the signature, where nothing is read.
			out[r.IntN(len(out)*3/4)] ^= 1 << r.IntN(8)
		}
		return out
	}
	list, ok := tree(out)
	if !ok || len(list) != 1 {
		return out
	}
	all := list[0].all()
	n := all[r.IntN(len(all))]
	switch parent := all[r.IntN(len(all))]; r.IntN(6) {
	case 0:
		n.tag = tags[r.IntN(len(tags))]
	case 1:
		if len(n.content) > 0 {
			n.content[r.IntN(len(n.content))] = byte(r.IntN(256))
		}
	case 2:
		n.content = n.content[:r.IntN(len(n.content)+1)]
	case 3:
		n.content = append(append([]byte(nil), n.content...), byte(r.IntN(256)))
	case 4:
		if k := len(parent.children); k > 0 { // a second one
			parent.children = append(parent.children, parent.children[r.IntN(k)])
		}
	case 5:
		if k := len(parent.children); k > 0 {
			i := r.IntN(k)
			parent.children = append(parent.children[:i:i], parent.children[i+1:]...)
		}
	}
	return list[0].der()
}
