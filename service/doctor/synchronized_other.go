//go:build !linux

package doctor

// Synchronized does not know on this system.
func Synchronized() (synchronized, known bool) { return false, false }
