//go:build race

package queue_test

// sequences is how many random sequences are run; the race detector makes each many times as dear.
const sequences = "6"
