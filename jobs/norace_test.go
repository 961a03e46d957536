//go:build !race

package jobs_test

// checks is how many stories a property plays when nobody asks for more.
const checks = "24"
