package instagram_test

import (
	"fmt"

	"sumbi/adapters/instagram"
)

func ExampleAccount() {
	fmt.Println(instagram.Account("https://www.instagram.com/Seoul.Matzip/"))
	_, err := instagram.Account("서울맛집")
	fmt.Println(err)
	// Output:
	// seoul.matzip <nil>
	// "서울맛집" is no Instagram account: a user name has up to 30 letters a-z, digits, dots and underscores
}
