package smime

import "crypto"

// inBackground is the size from which content is hashed beside the copying of
// it: below, the switch costs more than it saves.
const inBackground = 256 << 10

// digester hashes content, a large one on another processor.
type digester struct {
	started bool
	sum     []byte
	done    chan struct{} // nil: the sum is there
}

// start begins to hash content. The caller must wait.
func (d *digester) start(h crypto.Hash, content [][]byte) {
	d.started = true
	n := 0
	for _, piece := range content {
		n += len(piece)
	}
	if n < inBackground {
		d.run(h, content)
		return
	}
	d.done = make(chan struct{})
	go func() {
		defer close(d.done)
		d.run(h, content)
	}()
}

func (d *digester) run(h crypto.Hash, content [][]byte) {
	hash := h.New()
	for _, piece := range content {
		hash.Write(piece)
	}
	d.sum = hash.Sum(nil)
}

// wait returns the digest.
func (d *digester) wait() []byte {
	if d.done != nil {
		<-d.done
	}
	return d.sum
}
