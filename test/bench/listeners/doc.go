// Package listeners measures the ways into the gateway beside the least that could do the
// same: `make bench-doors` prints what a message costs in processor time of the filter,
// and how many messages a second a relay delivers; `make bench-relay` prints the latter
// beside Postfix, with an empty queue and with many messages waiting, and what a message costs
// with the history and without.
//
// A private Postfix hands each message to one filter after the other: to the gateway, to a
// bare milter that frames the same octets and does the same primitives ("bare"), to the
// milter library doing nothing, and to OpenDKIM where it is installed. Clients are
// smtp-source of Postfix, one message a session. Processor time is that of the filter's
// process, user and system, in nanoseconds by its clock, so the MTA does not count. Rows are medians of
// several runs that take turns, so that a change of the machine's speed meets all of them.
package listeners
