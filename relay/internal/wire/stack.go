package wire

// stackRoom is about what the work on a message takes of a stack.
const stackRoom = 28 << 10

// GrowStack gives a goroutine that is to work on messages the stack for it at once.
// Otherwise it would be copied at 2, 4, 8 and 16 kB with all frames that are on it then, for
// each connection, as MTAs open one for each message, and each attempt of the queue.
func GrowStack() { reserve(false) }

// reserve has the room in its frame, for which the stack grows when it is called. To use it
// would cost more than the growth: it is cleared first.
//
//go:noinline
func reserve(use bool) {
	if use {
		var room [stackRoom]byte
		touch(&room)
	}
}

//go:noinline
func touch(*[stackRoom]byte) {}
