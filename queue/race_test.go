//go:build race

package queue_test

// sequences is how many random sequences are run; the race detector makes each many times as dear.
const sequences = "6"

// slow says that the race detector makes everything ten times slower: what is the same again and again is sampled.
const slow = true
