//go:build !race

package bigtest_test

// raced is true under the race detector, which takes minutes over what is a loop in one goroutine.
const raced = false
