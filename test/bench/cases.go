package main

// benchCase is one row of the table.
type benchCase struct {
	operation  string
	size       int // octets of the body
	recipients int
}

// cases are all operations at all sizes for one recipient, and encryption for
// more at the size of a usual message.
func cases() []benchCase {
	var list []benchCase
	for _, operation := range []string{"sign", "verify", "encrypt", "decrypt", "signencrypt"} {
		for _, size := range []int{5_000, 75_000, 1_000_000, 25_000_000} {
			list = append(list, benchCase{operation, size, 1})
		}
	}
	for _, operation := range []string{"encrypt", "decrypt", "signencrypt"} {
		for _, recipients := range []int{10, 100} {
			list = append(list, benchCase{operation, 75_000, recipients})
		}
	}
	return list
}
