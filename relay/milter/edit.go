package milter

import (
	"bytes"
	"encoding/binary"
	"strings"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/smime/message"
)

// Codes of the edits that an MTA takes at the end of a message.
const (
	replaceBody  = 'b'
	insertHeader = 'i'
	changeHeader = 'm'
	delRecipient = '-'
	addRecipient = '2' // with ESMTP arguments
)

// maxChunk is the largest part of a body in one packet.
const maxChunk = 65535

// packet is one packet to the MTA.
type packet struct {
	code byte
	data []byte
}

// diff returns the edits that make now out of old. exact says that header
// values travel with their leading space.
func diff(old, now *message.Message, exact bool) ([]packet, error) {
	if bytes.IndexByte(now.Header(), 0) >= 0 {
		return nil, fault.New(fault.Malformed, "NUL in the message header", nil)
	}
	var edits []packet
	if !bytes.Equal(old.Header(), now.Header()) {
		kept := common(old.Fields(), now.Fields())
		edits = append(deletions(old.Fields(), kept), insertions(now.Fields(), kept, exact)...)
	}
	if !bytes.Equal(old.Body(), now.Body()) {
		edits = append(edits, chunks(now.Body())...)
	}
	return edits, nil
}

// pair is a field that stays: its place in the old and in the new header.
type pair struct{ old, now int }

// common returns a longest common subsequence of two headers, as pairs in
// order.
func common(old, now []message.Field) []pair {
	head, tail := make([]pair, 0, min(len(old), len(now))), []pair(nil)
	lo := 0
	for lo < len(old) && lo < len(now) && same(old[lo], now[lo]) {
		head = append(head, pair{lo, lo})
		lo++
	}
	o, n := len(old), len(now)
	for o > lo && n > lo && same(old[o-1], now[n-1]) {
		o, n = o-1, n-1
		tail = append(tail, pair{o, n})
	}
	all := append(head, between(old, now, lo, o, n)...)
	for i := len(tail) - 1; i >= 0; i-- {
		all = append(all, tail[i])
	}
	return all
}

// maxTable bounds the work on headers that differ in thousands of fields: past
// it, all of them are replaced.
const maxTable = 1 << 20

// between compares old[lo:o] with now[lo:n] by the textbook table.
func between(old, now []message.Field, lo, o, n int) []pair {
	rows, cols := o-lo, n-lo
	if rows == 0 || cols == 0 || rows*cols > maxTable {
		return nil
	}
	length := make([][]int32, rows+1)
	for i := range length {
		length[i] = make([]int32, cols+1)
	}
	for i := rows - 1; i >= 0; i-- {
		for j := cols - 1; j >= 0; j-- {
			if same(old[lo+i], now[lo+j]) {
				length[i][j] = length[i+1][j+1] + 1
			} else {
				length[i][j] = max(length[i+1][j], length[i][j+1])
			}
		}
	}
	var pairs []pair
	for i, j := 0, 0; i < rows && j < cols; {
		switch {
		case same(old[lo+i], now[lo+j]):
			pairs = append(pairs, pair{lo + i, lo + j})
			i, j = i+1, j+1
		case length[i+1][j] >= length[i][j+1]:
			i++
		default:
			j++
		}
	}
	return pairs
}

func same(a, b message.Field) bool { return bytes.Equal(a.Raw, b.Raw) }

// deletions deletes the old fields that do not stay. An index counts the fields
// of one name from 1, so the last goes first: then the indexes of those before
// it hold.
func deletions(old []message.Field, kept []pair) []packet {
	if len(kept) == len(old) {
		return nil
	}
	stays := make([]bool, len(old))
	for _, p := range kept {
		stays[p.old] = true
	}
	count := map[string]uint32{}
	index := make([]uint32, len(old))
	for i, f := range old {
		name := strings.ToLower(f.Name)
		count[name]++
		index[i] = count[name]
	}
	var edits []packet
	for i := len(old) - 1; i >= 0; i-- {
		if !stays[i] {
			// An empty value deletes.
			edits = append(edits, header(changeHeader, index[i], old[i].Name, ""))
		}
	}
	return edits
}

// insertions inserts the new fields from the top down, each where it belongs
// among those above it. Here the MTA counts all fields, and its own Received
// field, which we are not shown, is number 0.
func insertions(now []message.Field, kept []pair, exact bool) []packet {
	stays := make([]bool, len(now))
	for _, p := range kept {
		stays[p.now] = true
	}
	edits := make([]packet, 0, len(now)-len(kept))
	for i, f := range now {
		if !stays[i] {
			edits = append(edits, header(insertHeader, uint32(i)+1, f.Name, value(f, exact)))
		}
	}
	return edits
}

// value returns what stands after the colon, with LF for the line ends between
// folds: that is how the protocol carries them.
func value(f message.Field, exact bool) string {
	_, v, _ := strings.Cut(string(f.Raw), ":")
	v = strings.ReplaceAll(v, "\r\n", "\n")
	v = strings.TrimSuffix(v, "\n")
	if !exact {
		v = strings.TrimPrefix(v, " ") // the MTA puts one there
	}
	return v
}

func header(code byte, index uint32, name, value string) packet {
	data := binary.BigEndian.AppendUint32(nil, index)
	data = append(data, name...)
	data = append(data, 0)
	data = append(data, value...)
	return packet{code: code, data: append(data, 0)}
}

// chunks cuts a body into packets, not between CR and LF.
func chunks(body []byte) []packet {
	if len(body) == 0 {
		return []packet{{code: replaceBody}}
	}
	var edits []packet
	for len(body) > 0 {
		n := min(len(body), maxChunk)
		if n < len(body) && body[n-1] == '\r' {
			n--
		}
		edits = append(edits, packet{code: replaceBody, data: body[:n]})
		body = body[n:]
	}
	return edits
}
