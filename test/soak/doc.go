// Command soak runs campaigns of random tests for a given time, and prints one table of what they did: rounds, operations,
// faults that were injected, and findings.
//
// A campaign is a test of this repository that draws its work at random, so that running it again looks somewhere else. Each campaign
// is run again and again until the time is over, several campaigns side by side; a run under way then has a tenth of the time, or a minute, to end, and is
// cut. A test tells what it did
// by lines of JSON in the file that OBJMOUNT_TEST_REPORT names ({"rounds":1,"operations":200,"faults":3}); one that tells nothing counts as
// the rounds that the table gives it.
//
// A run that fails is a finding: its whole output is kept in the directory of -findings, with the seed and the calls that show it again, and
// is named under the table with the tests that failed. The others leave nothing. The exit code is 1 when there were findings, or no time
// for a campaign at all.
//
//	make soak TIME=1h
//	go run ./test/soak -time 10m -only 'crash|model'
package main
