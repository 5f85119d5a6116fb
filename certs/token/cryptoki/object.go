//go:build cgo

package cryptoki

import (
	"errors"
	"fmt"

	"github.com/miekg/pkcs11"
)

// maxObjects limits how many objects of one class are read.
const maxObjects = 1000

// find returns the objects that have all attributes of a template.
func (s *session) find(template ...*pkcs11.Attribute) ([]pkcs11.ObjectHandle, error) {
	if err := s.api.FindObjectsInit(s.handle, template); err != nil {
		return nil, err
	}
	var all []pkcs11.ObjectHandle
	for {
		some, _, err := s.api.FindObjects(s.handle, 100)
		all = append(all, some...)
		if err != nil || len(some) == 0 || len(all) >= maxObjects {
			return all, errors.Join(err, s.api.FindObjectsFinal(s.handle))
		}
	}
}

// attribute reads one attribute; nil without an error where the object has none
// or keeps it to itself.
func (s *session) attribute(o pkcs11.ObjectHandle, kind uint) ([]byte, error) {
	list, err := s.api.GetAttributeValue(s.handle, o, []*pkcs11.Attribute{pkcs11.NewAttribute(kind, nil)})
	switch {
	case errors.Is(err, pkcs11.Error(pkcs11.CKR_ATTRIBUTE_TYPE_INVALID)), errors.Is(err, pkcs11.Error(pkcs11.CKR_ATTRIBUTE_SENSITIVE)):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return list[0].Value, nil
}

// attributes reads several, each by itself: one that is not there must not hide
// the others.
func (s *session) attributes(o pkcs11.ObjectHandle, kinds ...uint) ([][]byte, error) {
	values := make([][]byte, len(kinds))
	for i, kind := range kinds {
		var err error
		if values[i], err = s.attribute(o, kind); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// private is a private key of a token, by what it is found with in any session.
type private struct {
	id, label []byte
	kind      uint // CKK_
	// always says that the token wants the PIN for each operation.
	always bool
}

// name names the key on the wire.
func (k private) name() string { return fmt.Sprintf("%x-%x-%x", k.kind, k.id, k.label) }

// handle finds the key, once a session.
func (k private) handle(s *session) (pkcs11.ObjectHandle, error) {
	name := k.name()
	if h, ok := s.keys[name]; ok {
		return h, nil
	}
	template := []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_PRIVATE_KEY),
		pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, k.kind),
	}
	if len(k.id) > 0 {
		template = append(template, pkcs11.NewAttribute(pkcs11.CKA_ID, k.id))
	}
	if len(k.label) > 0 {
		template = append(template, pkcs11.NewAttribute(pkcs11.CKA_LABEL, k.label))
	}
	found, err := s.find(template...)
	if err != nil {
		return 0, err
	}
	if len(found) == 0 {
		return 0, fmt.Errorf("the key %q (%x) is no longer there", k.label, k.id)
	}
	s.keys[name] = found[0]
	return found[0], nil
}
