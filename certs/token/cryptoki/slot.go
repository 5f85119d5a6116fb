//go:build cgo

package cryptoki

import (
	"fmt"
	"strconv"

	"github.com/miekg/pkcs11"
)

// slot finds the one token that the URI names.
func (u target) slot(api cryptoki) (uint, pkcs11.TokenInfo, error) {
	var info pkcs11.TokenInfo
	if ok, err := u.matchesLibrary(api); err != nil || !ok {
		if err == nil {
			err = refuse("the library is not the one that the URI describes")
		}
		return 0, info, err
	}
	slots, err := api.GetSlotList(true)
	if err != nil {
		return 0, info, err
	}
	var found []uint
	for _, s := range slots {
		token, err := api.GetTokenInfo(s)
		if lost(err) {
			continue // taken out meanwhile
		}
		if err != nil {
			return 0, info, err
		}
		ok, err := u.matchesSlot(api, s)
		if err != nil {
			return 0, info, err
		}
		if ok && u.matchesToken(token) && token.Flags&pkcs11.CKF_TOKEN_INITIALIZED != 0 {
			found, info = append(found, s), token
		}
	}
	switch len(found) {
	case 0:
		return 0, info, fmt.Errorf("%w: none of %d tokens is the one", pkcs11.Error(pkcs11.CKR_TOKEN_NOT_PRESENT), len(slots))
	case 1:
		return found[0], info, nil
	}
	return 0, info, refuse("the URI fits %d tokens; add token= or serial=", len(found))
}

func (u target) matchesToken(t pkcs11.TokenInfo) bool {
	return u.Is("token", t.Label) && u.Is("manufacturer", t.ManufacturerID) &&
		u.Is("serial", t.SerialNumber) && u.Is("model", t.Model)
}

func (u target) matchesSlot(api cryptoki, slot uint) (bool, error) {
	if want, ok := u.Path["slot-id"]; ok {
		if n, err := strconv.ParseUint(want, 10, 64); err != nil || uint(n) != slot {
			return false, nil
		}
	}
	info, err := api.GetSlotInfo(slot)
	if err != nil {
		return false, err
	}
	return u.Is("slot-description", info.SlotDescription) && u.Is("slot-manufacturer", info.ManufacturerID), nil
}

func (u target) matchesLibrary(api cryptoki) (bool, error) {
	info, err := api.GetInfo()
	if err != nil {
		return false, err
	}
	version := fmt.Sprintf("%d.%d", info.LibraryVersion.Major, info.LibraryVersion.Minor)
	if u.Path["library-version"] == fmt.Sprint(info.LibraryVersion.Major) && info.LibraryVersion.Minor == 0 {
		version = u.Path["library-version"] // RFC 7512 section 2.3: the minor version defaults to 0
	}
	return u.Is("library-manufacturer", info.ManufacturerID) && u.Is("library-description", info.LibraryDescription) &&
		u.Is("library-version", version), nil
}
