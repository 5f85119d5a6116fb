//go:build !linux

package doctor_test

// disk is made on Linux alone.
func (s *seed) disk(string, string) { s.Skip("mounts disks as Linux does") }
