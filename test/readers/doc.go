// Package readers compares what passes with what other mail readers show. Four of
// them, which have nothing in common with this project or with each other, read
// messages that were generated around a few signed parts: whatever passes, each
// shows what the signature covers, and nothing else.
package readers
