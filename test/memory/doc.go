// Package memory measures how much memory the gateway takes for large messages: the
// real binary, a process of its own, by real sockets.
package memory
