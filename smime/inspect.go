package smime

import (
	"errors"

	"github.com/smimerelay/smimerelay/smime/cms"
	"github.com/smimerelay/smimerelay/smime/message"
)

// Kind says what S/MIME protection a message bears.
type Kind struct {
	// Signed means that the message, or what it encrypts visibly, has a signature,
	// whatever that is worth.
	Signed bool
	// Encrypted means that the whole body is encrypted, bare or inside of a
	// signature, that a recipient can decrypt it, and that nothing readable stands
	// beside it.
	Encrypted bool
	// Doubt says why something that looks protected does not count as that; "" if
	// there is nothing to say.
	Doubt string
	// Defect says why a message is not what its Content-Type says, "" where it
	// is. Such a message is neither protected nor fit to be protected.
	Defect string
	// Encryption describes what is encrypted, and Readers name the certificates of
	// those who can decrypt it; nil and empty unless Encrypted.
	Encryption *Encryption
	Readers    []cms.ID

	// seen are the parts that Inspect went through, as it left them for Open.
	seen []seenPart
}

// seenPart is a part that all readers take for the same, with the CMS object that makes
// it one: its own content or that of its second part, without the transfer encoding. The
// object is nil where it is not kept.
type seenPart struct {
	part   *message.Part
	object []byte
}

// maxKept is the largest signature that is kept for Open, so that those of a message do
// not add up to another one.
const maxKept = 64 << 10

// sure reports whether Inspect found that p has one reading.
func (k *Kind) sure(p *message.Part) bool { return k.find(p) != nil }

// take returns the object of p; decode makes it where it was not kept. It is handed out
// once, for Open decrypts in place.
func (k *Kind) take(p *message.Part, decode func() ([]byte, error)) ([]byte, error) {
	s := k.find(p)
	if s == nil || s.object == nil {
		return decode()
	}
	object := s.object
	s.object = nil
	return object, nil
}

func (k *Kind) find(p *message.Part) *seenPart {
	if k == nil {
		return nil
	}
	for i := range k.seen {
		if k.seen[i].part == p {
			return &k.seen[i]
		}
	}
	return nil
}

// Inspect tells the kind of m without any cryptography: a policy must know that
// a message is signed or encrypted already. What an encrypted message holds
// is not known. Neither a header nor a form alone proves anything: text under
// the name of pkcs7-mime, or of a cipher, would leave in the clear.
func Inspect(m *message.Message) Kind {
	var k Kind
	lonely := true // nothing readable stands beside what the walk goes into
	for p := m.Root(); ; {
		if p.Ambiguous {
			return Kind{Defect: p.Defect}
		}
		form := layerOf(p)
		if d := doubt(p, form); d != "" {
			k.Doubt = "ambiguous: " + d
			return k
		}
		switch form {
		case clearLayer:
			if len(p.Children) != 2 {
				return Kind{Defect: errParts.Error()}
			}
			data, object, err := secondPart(p)
			if err != nil {
				k.Doubt = "multipart/signed without a signature: " + err.Error()
				return k
			}
			if len(object) > maxKept {
				object = nil
			}
			k.seen = append(k.seen, seenPart{p, object})
			k.Signed = true
			lonely = lonely && data.Bare() && p.Bare()
			p = p.Children[0]
		case cmsLayer:
			return k.withObject(p, lonely)
		default:
			return k
		}
	}
}

// secondPart reads the second part of a multipart/signed, which is of the type
// that RFC 8551 section 3.5.3 demands and has a signer.
func secondPart(p *message.Part) (data *cms.SignedData, object []byte, err error) {
	_, second, err := clearParts(p)
	if err != nil {
		return nil, nil, err
	}
	if object, err = second.Decode(); err != nil {
		return nil, nil, err
	}
	if data, err = cms.ParseSignatures(object); err != nil {
		return nil, nil, err
	}
	if data.Signers() == 0 {
		return nil, nil, errors.New("there is no signer")
	}
	return data, object, nil
}

// withObject adds what the CMS object in p is.
func (k Kind) withObject(p *message.Part, lonely bool) Kind {
	object, err := p.Decode()
	if err != nil {
		return Kind{Defect: err.Error()}
	}
	k.seen = append(k.seen, seenPart{p, object})
	kind, err := cms.ContentType(object)
	if err != nil {
		return Kind{Defect: err.Error()}
	}
	switch kind {
	case cms.TypeSigned:
		data, err := cms.ParseSignatures(object)
		switch {
		case err != nil:
			return Kind{Defect: err.Error()}
		case data.Signers() == 0 || data.Content == nil:
			k.Doubt = "signed-data without a signature or without what is signed"
		default:
			k.Signed = true
		}
	case cms.TypeEnveloped, cms.TypeAuthEnveloped:
		return k.withEnveloped(object, lonely)
	}
	return k
}

// withEnveloped adds what is known of a ciphertext. One that is broken is no
// defect of the message, which can be encrypted like every other.
func (k Kind) withEnveloped(object []byte, lonely bool) Kind {
	env, err := cms.ParseEnvelopedData(object)
	if err != nil {
		return Kind{Defect: err.Error()}
	}
	if err := env.Sound(); err != nil {
		k.Doubt = err.Error()
		return k
	}
	if !lonely {
		k.Doubt = "text stands beside what is encrypted"
		return k
	}
	k.Encrypted, k.Encryption = true, describe(env)
	for _, r := range env.Recipients {
		if r.Unsupported == "" {
			k.Readers = append(k.Readers, r.ID)
		}
	}
	return k
}

// describe returns what a report says of an encrypted layer.
func describe(env *cms.EnvelopedData) *Encryption {
	e := &Encryption{Cipher: env.Cipher, Authenticated: env.Authenticated, DerivedKey: env.DerivedKey, Recipients: len(env.Recipients)}
	for _, r := range env.Recipients {
		e.keyManagement = append(e.keyManagement, r.KeyManagement)
	}
	return e
}

// Accepts reports whether an encryption is at the minimum and, where that names no
// cipher, of one that anybody should use.
func (m Minimum) Accepts(e *Encryption) bool {
	return m.encryption(e) == "" && (m.Cipher != "" || strength(e.Cipher) > 0)
}

// Readable returns the entity that anybody can read inside of a part that is a CMS
// object: what is signed in one piece with its signature, or compressed. It is nil
// where there is none. An error says why what may be one cannot be read here; other
// programs may be able to. reserve is that of OpenOptions: cms.ErrMemory is its no.
func Readable(p *message.Part, reserve func(octets int64) bool) (*message.Message, error) {
	if layerOf(p) != cmsLayer {
		return nil, nil
	}
	object, err := p.Decode()
	if err != nil {
		return nil, err
	}
	content, err := readable(object, reserve)
	if err != nil || content == nil {
		return nil, err
	}
	return message.Parse(content)
}

// readable returns what a CMS object holds in the clear; nil if it holds nothing.
func readable(object []byte, reserve func(octets int64) bool) ([]byte, error) {
	kind, err := cms.ContentType(object)
	if err != nil {
		return nil, err
	}
	switch kind {
	case cms.TypeSigned:
		data, err := cms.ParseSignatures(object)
		if err != nil || data.Content == nil {
			return nil, err
		}
		return data.Content.Bytes(), nil
	case cms.TypeCompressed:
		_, content, err := cms.Decompress(object, cms.Limits{MaxSize: maxDecompressed, Reserve: reserve})
		return content, err
	}
	return nil, nil
}
