//go:build !race

package queue_test

// sequences is how many random sequences are run.
const sequences = "40"
