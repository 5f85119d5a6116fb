package token

import (
	"io/fs"
	"os"
	"sync"
)

// refusedPINs are those of this process. It is the one state of the package and not of
// a value: each reload starts a helper, and a token locks after a few wrong PINs.
var refusedPINs = &pins{files: map[string]fs.FileInfo{}}

// pins are files with a PIN that was refused, as they were then.
type pins struct {
	mu    sync.Mutex
	files map[string]fs.FileInfo
}

// bar remembers that the PIN in file was refused. A file that cannot be found counts as
// unchanged until it can.
func (p *pins) bar(file string) {
	info, _ := os.Stat(file)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.files[file] = info
}

// barred reports whether the PIN in file was refused, and the file is the same.
func (p *pins) barred(file string) bool {
	now, err := os.Stat(file)
	p.mu.Lock()
	defer p.mu.Unlock()
	then, ok := p.files[file]
	if !ok || err != nil {
		return ok
	}
	return then != nil && os.SameFile(then, now) && then.ModTime().Equal(now.ModTime()) && then.Size() == now.Size()
}
