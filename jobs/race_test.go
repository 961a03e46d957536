//go:build race

package jobs_test

// checks is how many stories a property plays when nobody asks for more: each runs whole pipelines, slowly under the detector.
const checks = "4"

// answers is how many lines the largest batch has: more than one commit takes.
const answers = 600
