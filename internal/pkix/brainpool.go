package pkix

import (
	"crypto/rand"
	"encoding/asn1"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// The brainpool curves (RFC 5639), which the German health service and public
// authorities use: signatures are verified and keys agreed on for encryption. The
// arithmetic of math/big does not take constant time. No private key that lasts is
// used with it: the only secret is the ephemeral key of one message, which is used
// for one multiplication a recipient.

// brainpoolCurve is y² = x³ + ax + b over p, with a base point of prime order n.
type brainpoolCurve struct {
	id               asn1.ObjectIdentifier
	name             string
	p, a, b, x, y, n *big.Int
}

func number(s string) *big.Int {
	n, ok := new(big.Int).SetString(s, 16)
	if !ok {
		panic("not a number: " + s)
	}
	return n
}

// BrainpoolKey is a public key on a brainpool curve: a point of it that is not the
// neutral one.
type BrainpoolKey struct {
	curve *brainpoolCurve
	x, y  *big.Int
}

// Curve is the name of the curve in RFC 5639.
func (k *BrainpoolKey) Curve() string { return k.curve.name }

// Bits is the size of the curve.
func (k *BrainpoolKey) Bits() int { return k.curve.n.BitLen() }

// Equal compares public keys.
func (k *BrainpoolKey) Equal(o *BrainpoolKey) bool {
	return k.curve == o.curve && k.x.Cmp(o.x) == 0 && k.y.Cmp(o.y) == 0
}

func (c *brainpoolCurve) size() int { return (c.p.BitLen() + 7) / 8 }

// key reads a point (SEC 1 section 2.3.4), and makes sure that it is on the curve.
func (c *brainpoolCurve) key(point []byte) (*BrainpoolKey, error) {
	size := c.size()
	if isHybrid(point, size) {
		point = plainPoint(point)
	}
	switch {
	case len(point) == 1+2*size && point[0] == 4:
		x, y := new(big.Int).SetBytes(point[1:1+size]), new(big.Int).SetBytes(point[1+size:])
		if x.Cmp(c.p) < 0 && y.Cmp(c.p) < 0 && c.square(y).Cmp(c.right(x)) == 0 {
			return &BrainpoolKey{c, x, y}, nil
		}
	case len(point) == 1+size && (point[0] == 2 || point[0] == 3):
		x := new(big.Int).SetBytes(point[1:])
		y := new(big.Int).ModSqrt(c.right(x), c.p)
		if x.Cmp(c.p) >= 0 || y == nil {
			return nil, errKeyKind
		}
		if y.Bit(0) != uint(point[0]&1) {
			y.Sub(c.p, y)
		}
		return &BrainpoolKey{c, x, y}, nil
	}
	return nil, errKeyKind
}

func (c *brainpoolCurve) square(y *big.Int) *big.Int { return c.mul(y, y) }

func (c *brainpoolCurve) mul(a, b *big.Int) *big.Int {
	m := new(big.Int).Mul(a, b)
	return m.Mod(m, c.p)
}

func (c *brainpoolCurve) sub(a, b *big.Int) *big.Int {
	d := new(big.Int).Sub(a, b)
	return d.Mod(d, c.p)
}

// right is x³ + ax + b.
func (c *brainpoolCurve) right(x *big.Int) *big.Int {
	r := c.mul(new(big.Int).Add(c.square(x), c.a), x)
	return r.Mod(r.Add(r, c.b), c.p)
}

// jacobian is the point (x/z², y/z³); z = 0 is the neutral one.
type jacobian struct{ x, y, z *big.Int }

func affine(x, y *big.Int) jacobian { return jacobian{x, y, big.NewInt(1)} }

func neutral() jacobian { return jacobian{big.NewInt(1), big.NewInt(1), new(big.Int)} }

// affine returns the coordinates of a point that is not the neutral one.
func (c *brainpoolCurve) affine(p jacobian) (x, y *big.Int, ok bool) {
	inverse := new(big.Int).ModInverse(p.z, c.p)
	if inverse == nil {
		return nil, nil, false
	}
	square := c.square(inverse)
	return c.mul(p.x, square), c.mul(p.y, c.mul(square, inverse)), true
}

// double is dbl-2007-bl of the Explicit-Formulas Database.
func (c *brainpoolCurve) double(p jacobian) jacobian {
	if p.z.Sign() == 0 || p.y.Sign() == 0 {
		return neutral()
	}
	yy, zz := c.square(p.y), c.square(p.z)
	s := c.mul(new(big.Int).Lsh(p.x, 2), yy)
	m := c.mul(big.NewInt(3), c.square(p.x))
	m.Add(m, c.mul(c.a, c.square(zz)))
	x := c.sub(c.square(m), new(big.Int).Lsh(s, 1))
	y := c.sub(c.mul(m, c.sub(s, x)), new(big.Int).Lsh(c.square(yy), 3))
	return jacobian{x, y, c.mul(new(big.Int).Lsh(p.y, 1), p.z)}
}

// add is add-2007-bl, with the cases that it leaves out.
func (c *brainpoolCurve) add(p, q jacobian) jacobian {
	switch {
	case p.z.Sign() == 0:
		return q
	case q.z.Sign() == 0:
		return p
	}
	pp, qq := c.square(p.z), c.square(q.z)
	u := c.mul(p.x, qq)
	h := c.sub(c.mul(q.x, pp), u)
	s := c.mul(p.y, c.mul(q.z, qq))
	r := c.sub(c.mul(q.y, c.mul(p.z, pp)), s)
	if h.Sign() == 0 {
		if r.Sign() == 0 {
			return c.double(p)
		}
		return neutral()
	}
	hh := c.square(h)
	hhh, v := c.mul(h, hh), c.mul(u, hh)
	x := c.sub(c.sub(c.square(r), hhh), new(big.Int).Lsh(v, 1))
	y := c.sub(c.mul(r, c.sub(v, x)), c.mul(s, hhh))
	return jacobian{x, y, c.mul(h, c.mul(p.z, q.z))}
}

// times multiplies a point, four bits at a time.
func (c *brainpoolCurve) times(k *big.Int, p jacobian) jacobian {
	table := [16]jacobian{neutral(), p}
	for i := 2; i < len(table); i++ {
		table[i] = c.add(table[i-1], p)
	}
	sum := neutral()
	for _, b := range k.FillBytes(make([]byte, c.size())) {
		for _, digit := range [2]byte{b >> 4, b & 15} {
			for range 4 {
				sum = c.double(sum)
			}
			sum = c.add(sum, table[digit])
		}
	}
	return sum
}

// Verify is ECDSA (FIPS 186-5 section 6.4.2) with a signature in DER.
func (k *BrainpoolKey) Verify(digest, sig []byte) bool {
	c := k.curve
	s := cryptobyte.String(sig)
	var seq cryptobyte.String
	r, t := new(big.Int), new(big.Int)
	if !s.ReadASN1(&seq, cryptobyte_asn1.SEQUENCE) || !s.Empty() || !seq.ReadASN1Integer(r) || !seq.ReadASN1Integer(t) || !seq.Empty() ||
		r.Sign() <= 0 || t.Sign() <= 0 || r.Cmp(c.n) >= 0 || t.Cmp(c.n) >= 0 {
		return false
	}
	// The orders have whole octets: the leftmost bits are the leftmost octets.
	e := new(big.Int).SetBytes(digest[:min(len(digest), (c.n.BitLen()+7)/8)])
	w := new(big.Int).ModInverse(t, c.n)
	u := new(big.Int).Mul(e, w)
	v := new(big.Int).Mul(r, w)
	sum := c.add(c.times(u.Mod(u, c.n), affine(c.x, c.y)), c.times(v.Mod(v, c.n), affine(k.x, k.y)))
	x, _, ok := c.affine(sum)
	return ok && x.Mod(x, c.n).Cmp(r) == 0
}

// Ephemeral is a private key for the recipients of one message whose keys are on
// the same curve (RFC 5753 section 3.1).
type Ephemeral struct {
	curve  *brainpoolCurve
	d      *big.Int
	public []byte
}

// Ephemeral makes a key on the curve of k.
func (k *BrainpoolKey) Ephemeral() (*Ephemeral, error) {
	c := k.curve
	d, err := rand.Int(rand.Reader, new(big.Int).Sub(c.n, big.NewInt(1)))
	if err != nil {
		return nil, err
	}
	e := &Ephemeral{curve: c, d: d.Add(d, big.NewInt(1))}
	x, y, _ := c.affine(c.times(e.d, affine(c.x, c.y)))
	e.public = append([]byte{4}, append(x.FillBytes(make([]byte, c.size())), y.FillBytes(make([]byte, c.size()))...)...)
	return e, nil
}

// Public is the point in its long form.
func (e *Ephemeral) Public() []byte { return e.public }

// Agree is the x-coordinate of the shared point (SEC 1 section 3.3.1). The cofactor
// of the curves is 1: every point of theirs is of order n.
func (e *Ephemeral) Agree(k *BrainpoolKey) ([]byte, error) {
	if k.curve != e.curve {
		return nil, errKeyKind
	}
	x, _, ok := e.curve.affine(e.curve.times(e.d, affine(k.x, k.y)))
	if !ok {
		return nil, errKeyKind
	}
	return x.FillBytes(make([]byte, e.curve.size())), nil
}
