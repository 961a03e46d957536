//go:build !race

package queue_test

// sequences is how many random sequences are run.
const sequences = "40"

// slow says that the race detector makes everything ten times slower.
const slow = false
