package contract

import (
	"bytes"
	"crypto"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
	"strings"
	"testing"
)

// echo is a Holder that answers with what it was asked.
type echo struct {
	list  Inventory
	begun chan struct{} // receives for each Sign
	wait  chan struct{} // Sign waits for it
}

func (e echo) List() (Inventory, error) { return e.list, nil }
func (e echo) Ready(key string) error   { return errors.New("not " + key) }

func (e echo) Sign(key string, a Algorithm, digest []byte) ([]byte, error) {
	if e.wait != nil {
		e.begun <- struct{}{}
		<-e.wait
	}
	return []byte(fmt.Sprintf("%s %s %s", key, a.Scheme, digest)), nil
}

func (e echo) Decrypt(string, Algorithm, []byte) ([]byte, error) {
	return nil, Errorf(Undecryptable, "%s", strings.Repeat("x", 10*maxText))
}

func (e echo) Derive(string, Algorithm, []byte) ([]byte, error) { return nil, Errorf(WrongPIN, "PIN") }

func (e echo) Generate(kind Scheme, id, label []byte) (Key, error) {
	return Key{Name: string(id), Label: string(label), Public: []byte(kind)}, nil
}

// serve starts a Holder and opens it.
func serve(t *testing.T, h Holder) (net.Conn, <-chan error) {
	t.Helper()
	ours, theirs := net.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- Serve(theirs, theirs, func(token string) (Holder, error) {
			if token != "pkcs11:x" {
				return nil, Errorf(Refused, "not %q", token)
			}
			return h, nil
		})
	}()
	t.Cleanup(func() { ours.Close() })
	return ours, done
}

func ask(t *testing.T, c net.Conn, q Request) Response {
	t.Helper()
	if err := WriteRequest(c, q); err != nil {
		t.Fatal(err)
	}
	a, err := ReadResponse(c)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestServe(t *testing.T) {
	inventory := Inventory{Keys: []Key{{"k", "label", []byte{1, 2}}}, Certificates: [][]byte{{3}}}
	c, done := serve(t, echo{list: inventory})
	for _, x := range []struct {
		request Request
		want    Response
	}{
		{Request{Operation: Open, Version: Version, Token: "pkcs11:x"}, Response{}},
		{Request{Operation: List}, Response{Inventory: inventory}},
		{Request{Operation: Sign, Key: "k", Algorithm: Algorithm{Scheme: ECDSA}, Data: []byte("d")}, Response{Data: []byte("k ecdsa d")}},
		{Request{Operation: Ready, Key: "k"}, Response{Error: &Error{Unavailable, "not k"}}},
		{Request{Operation: Decrypt}, Response{Error: &Error{Undecryptable, strings.Repeat("x", maxText) + "…"}}},
		{Request{Operation: Derive}, Response{Error: &Error{WrongPIN, "PIN"}}},
		{Request{Operation: Generate, Algorithm: Algorithm{Scheme: P256, Label: []byte("l")}, Data: []byte("i")},
			Response{Inventory: Inventory{Keys: []Key{{"i", "l", []byte("p256")}}}}},
		{Request{Operation: "export"}, Response{Error: &Error{Unsupported, `no operation "export"`}}},
	} {
		x.request.ID += 7
		x.want.ID = 7
		if got := ask(t, c, x.request); !reflect.DeepEqual(got, x.want) {
			t.Errorf("%s: %+v, want %+v", x.request.Operation, got, x.want)
		}
	}
	c.Close()
	if err := <-done; err != nil {
		t.Errorf("at the end: %v", err)
	}
}

func TestOpenIsRefused(t *testing.T) {
	for name, q := range map[string]Request{
		"another version": {Operation: Open, Version: Version + 1, Token: "pkcs11:x"},
		"another token":   {Operation: Open, Version: Version, Token: "pkcs11:y"},
	} {
		c, done := serve(t, echo{})
		if a := ask(t, c, q); a.Error == nil || a.Error.Kind != Refused {
			t.Errorf("%s: %+v", name, a)
		}
		if err := <-done; err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A gateway that does not speak the contract is answered no further.
func TestServeWhatIsNotTheContract(t *testing.T) {
	open, _ := json.Marshal(Request{Operation: Open, Version: Version, Token: "pkcs11:x"})
	for name, input := range map[string][]byte{
		"no open":       frame([]byte(`{"id":1,"operation":"list"}`)),
		"text":          []byte("GET / HTTP/1.1\r\n\r\n"),
		"too long":      binary.BigEndian.AppendUint32(nil, maxRequest+1),
		"cut off":       append(frame(open), frame([]byte(`{"id":1}`))[:6]...),
		"no object":     append(frame(open), frame([]byte(`[]`))...),
		"unknown field": append(frame(open), frame([]byte(`{"id":1,"pin":"1234"}`))...),
		"two objects":   append(frame(open), frame([]byte(`{"id":1}{"id":2}`))...),
		"empty":         append(frame(open), frame(nil)...),
	} {
		err := Serve(bytes.NewReader(input), io.Discard, func(string) (Holder, error) { return echo{}, nil })
		if !errors.Is(err, errProtocol) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An inventory that is too long for the contract is said to be.
func TestTooMuchHeld(t *testing.T) {
	c, _ := serve(t, echo{list: Inventory{Certificates: [][]byte{make([]byte, maxResponse)}}})
	ask(t, c, Request{Operation: Open, Version: Version, Token: "pkcs11:x"})
	if a := ask(t, c, Request{ID: 3, Operation: List}); a.Error == nil || a.Error.Kind != Refused || a.ID != 3 {
		t.Errorf("%+v", a.Error)
	}
	var b bytes.Buffer
	if err := writeResponse(&b, Response{Inventory: Inventory{Keys: make([]Key, maxKeys+1)}}); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadResponse(&b); !errors.Is(err, errTooMany) {
		t.Errorf("%d keys: %v", maxKeys+1, err)
	}
}

// Only so many requests are worked on at once.
func TestPlaces(t *testing.T) {
	e := echo{begun: make(chan struct{}, 100), wait: make(chan struct{})}
	c, _ := serve(t, e)
	ask(t, c, Request{Operation: Open, Version: Version, Token: "pkcs11:x"})
	go func() {
		for id := range uint64(MaxPending + 5) {
			WriteRequest(c, Request{ID: id, Operation: Sign})
		}
	}()
	for range MaxPending {
		<-e.begun
	}
	if n := len(e.begun); n != 0 {
		t.Errorf("%d more have begun", n)
	}
	close(e.wait)
	for range MaxPending + 5 {
		if _, err := ReadResponse(c); err != nil {
			t.Fatal(err)
		}
	}
}

func TestHashes(t *testing.T) {
	for h := range hashNames {
		if HashOf(HashName(h)) != h {
			t.Error(h)
		}
	}
	if HashName(crypto.MD5) != "" || HashOf("") != 0 || HashOf("md5") != 0 {
		t.Error("a hash that is none")
	}
}

func frame(body []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
}

// Whatever a gateway sends, serving ends, and what is written can be read.
func FuzzServe(f *testing.F) {
	open := []byte(`{"id":1,"operation":"open","version":1,"token":"pkcs11:x"}`)
	f.Add(append(frame(open), frame([]byte(`{"id":2,"operation":"sign","key":"k","scheme":"ecdsa","data":"AAAA"}`))...))
	f.Add(append(frame(open), frame([]byte(`{"id":2,"operation":"list"}`))...))
	f.Add([]byte{0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, input []byte) {
		r, w := io.Pipe()
		read := make(chan struct{})
		go func() {
			defer close(read)
			for {
				if _, err := ReadResponse(r); err != nil {
					if err != io.EOF {
						t.Errorf("%v", err)
					}
					io.Copy(io.Discard, r)
					return
				}
			}
		}()
		_ = Serve(bytes.NewReader(input), w, func(string) (Holder, error) { return echo{}, nil })
		_ = w // what is under way writes into a pipe that is read until it is closed
		w.Close()
		<-read
	})
}

// Whatever a helper sends is read in bounds, and what is read can be written again.
func FuzzResponse(f *testing.F) {
	f.Add(frame([]byte(`{"id":1,"keys":[{"name":"k","public":"AAAA"}],"certificates":["AAAA"]}`)))
	f.Add(frame([]byte(`{"id":1,"error":{"kind":"refused","text":"x"}}`)))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, '{'})
	f.Fuzz(func(t *testing.T, input []byte) {
		a, err := ReadResponse(bytes.NewReader(input))
		if err != nil {
			return
		}
		var b bytes.Buffer
		if err := writeResponse(&b, a); err != nil {
			t.Fatal(err)
		}
		again, err := ReadResponse(&b)
		if err != nil || !reflect.DeepEqual(normal(a), normal(again)) {
			t.Errorf("%+v, then %+v, %v", a, again, err)
		}
	})
}

// normal is a with nil for what is empty: JSON does not tell them apart here.
func normal(a Response) string { return strings.ReplaceAll(fmt.Sprintf("%v %v", a, a.Error), "[]", "") }
