//go:build race

package jobs_test

// checks is how many stories a property plays when nobody asks for more: each runs whole pipelines, slowly under the detector.
const checks = "3"

// answers is how many lines the largest batch has: more than one commit takes.
const answers = 520

// scenarios is how many ways to lose a batch are played from every moment.
const scenarios = 1

// monthPosts is how many posts a velog user has in the month that is played.
const monthPosts = 2
