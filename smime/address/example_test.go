package address_test

import (
	"fmt"

	"github.com/smimerelay/smimerelay/smime/address"
)

func must(s string) address.Address {
	a, err := address.Parse(s)
	if err != nil {
		panic(err)
	}
	return a
}

func ExampleParse() {
	a := must(`"al ice"@Example.ORG`)
	fmt.Println(a, a.Domain())
	_, err := address.Parse("alice@example.org\r\nRCPT TO:<bob@example.org>")
	fmt.Println(err != nil)
	// Output:
	// "al ice"@Example.ORG example.org
	// true
}

func ExampleParsePath() {
	a, err := address.ParsePath("<alice@example.org>")
	fmt.Println(a, err)
	null, err := address.ParsePath("<>")
	fmt.Println(null.IsNull(), err)
	// Output:
	// alice@example.org <nil>
	// true <nil>
}

func ExampleAddress_Equal() {
	a, b := must("Alice@example.org"), must("alice@EXAMPLE.org")
	fmt.Println(a.Equal(b, address.IgnoreCase), a.Equal(b, address.ExactCase))
	// Output:
	// true false
}

func ExampleAddress_WithoutExtension() {
	mailbox, ok := must("alice+lists@example.org").WithoutExtension("+")
	fmt.Println(mailbox, ok)
	// Output:
	// alice@example.org true
}
