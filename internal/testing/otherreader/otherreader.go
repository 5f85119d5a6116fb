// Package otherreader compares what we read with what a program of others reads: a
// process gets inputs one after the other, and answers each with a line.
package otherreader

import (
	"bufio"
	"encoding/binary"
	"io"
	"os"
	"os/exec"
	"testing"
)

// Reader is a running program.
type Reader struct {
	in  io.WriteCloser
	out *bufio.Reader
}

// Start runs a program until the test ends, when it must end well.
func Start(t *testing.T, cmd *exec.Cmd) *Reader {
	t.Helper()
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v: %v; `make test` installs what is missing", cmd, err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %v", cmd, err)
		}
	})
	return &Reader{in, bufio.NewReader(out)}
}

// Lines returns what the program answers to each input, without the line end. Inputs are
// written after their length, 4 octets.
func (r *Reader) Lines(t *testing.T, inputs ...[]byte) [][]byte {
	t.Helper()
	written := make(chan error, 1)
	go func() {
		for _, input := range inputs {
			if _, err := r.in.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(input))), input...)); err != nil {
				written <- err
				return
			}
		}
		written <- nil
	}()
	lines := make([][]byte, len(inputs))
	for i, input := range inputs {
		line, err := r.out.ReadBytes('\n')
		if err != nil {
			t.Fatalf("it ended at input %d of %d, %x: %v", i, len(inputs), input, err)
		}
		lines[i] = line[:len(line)-1]
	}
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	return lines
}
