package service

import "sync/atomic"

// users counts those who use a thing that the last of them closes. The zero value
// counts none.
type users struct{ n atomic.Int64 }

// join counts one more. The thing must have a user who does not leave meanwhile, or be
// new.
func (u *users) join() { u.n.Add(1) }

// leave counts one less, and reports whether that was the last.
func (u *users) leave() (last bool) { return u.n.Add(-1) == 0 }
