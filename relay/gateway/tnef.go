package gateway

import (
	"bytes"
	"encoding/binary"
	"strings"
)

// tnef is what is known of a message in Outlook's Transport Neutral Encapsulation
// Format (MS-OXTNEF).
type tnef struct {
	class string // such as "IPM.Schedule.Meeting.Request"
	files bool   // it holds attachments
}

// What is looked at of a TNEF stream (MS-OXTNEF section 2.1.3).
const (
	tnefSignature     = 0x223e9f78
	tnefMessageClass  = 0x00078008
	tnefAttachment    = 2 // the level of attributes of attachments
	tnefAttributeHead = 1 + 4 + 4
	tnefChecksum      = 2
)

// readTNEF reads a TNEF stream; ok is false if it is none or is cut off.
func readTNEF(b []byte) (t tnef, ok bool) {
	if len(b) < 6 || binary.LittleEndian.Uint32(b) != tnefSignature {
		return t, false
	}
	for b = b[6:]; len(b) > 0; {
		if len(b) < tnefAttributeHead {
			return t, false
		}
		level, id, size := b[0], binary.LittleEndian.Uint32(b[1:]), uint64(binary.LittleEndian.Uint32(b[5:]))
		b = b[tnefAttributeHead:]
		if uint64(len(b)) < size+tnefChecksum {
			return t, false
		}
		if level == tnefAttachment {
			t.files = true
		}
		if id == tnefMessageClass {
			t.class = string(bytes.TrimRight(b[:size], "\x00"))
		}
		b = b[size+tnefChecksum:]
	}
	return t, true
}

// meeting reports whether the message is a meeting request, an answer to one, or
// its cancellation (MS-OXCMSG section 2.2.1.3, and the names from before).
func (t *tnef) meeting() bool {
	class := strings.ToLower(t.class)
	return strings.HasPrefix(class, "ipm.schedule.meeting.") || strings.HasPrefix(class, "ipm.microsoft schedule.mtg")
}
