// Package scripts holds no code: its tests run the scripts beside it, which
// `make test` is made of, with stand-ins for the commands that they call.
package scripts
