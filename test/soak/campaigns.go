package main

// campaign is one row of the table.
type campaign struct {
	name    string
	folder  string // of the package, below the repository
	run     string // expression for the tests
	rounds  int    // of one run that tells nothing: the rapid checks
	flags   []string
	env     []string
	whatFor string
}

// campaigns are all there are. Those of the folder test start object servers and mount, that of backend/s3 starts servers; the others
// need nothing.
var campaigns = []campaign{
	{
		name: "extents", folder: "cache/staging", run: "^Test(Model|ModelLimit|ExtentMap.*|SameContent|Streamed)$", rounds: 2000, flags: []string{"-rapid.checks=2000"},
		whatFor: "any sequence of writes, truncations, copies and seals gives the bytes of a plain buffer",
	},
	{
		name: "power loss", folder: "cache/staging", run: "^Test(Crash|TornJournal|StreamedAndCrash)$", rounds: 500, flags: []string{"-rapid.checks=500"},
		whatFor: "a disk that loses, reorders and tears what was not synced, at any point; every promise holds afterwards",
	},
	{
		name: "part plans", folder: "cache/writeback", run: "^TestPlan(MovesTheFewestBytes|IsLegal|Reuses)$", rounds: 20_000, flags: []string{"-rapid.checks=20000"},
		whatFor: "every plan covers the file exactly, is legal, and moves the fewest bytes",
	},
	{
		name: "vendors", folder: "test", run: "^TestPlansOfEveryVendor$", rounds: 9 * 3000, flags: []string{"-rapid.checks=3000"},
		whatFor: "plans for files of real sizes are legal for each vendor's limits, up to its largest object",
	},
	{
		name: "write-back", folder: "cache/writeback", run: "^Test(Model|PlanGivesTheBytes)$", rounds: 400, flags: []string{"-rapid.checks=200"},
		whatFor: "the queue against a store with faults: what is stored is what was sealed, in order",
	},
	{
		name: "inodes", folder: "fs", run: "^Test(XattrModel|XattrModelCrash|ShuffledNames)$", rounds: 100, flags: []string{"-rapid.checks=100"},
		whatFor: "attributes, names, lookups and handles against models, with crashes",
	},
	{
		name: "object servers", folder: "backend/s3", run: "^Test(Conformance|VersionedConformance|ConformanceOfEncrypted|ManyVersionsOnServers)$", rounds: 1, env: []string{"OBJMOUNT_SOAK=1"},
		whatFor: "what backend/s3 claims of both servers, with full pages also of encrypted objects and of versions",
	},
	{
		name: "system calls", folder: "test", run: "^TestLikeAPlainDirectory$", env: []string{"OBJMOUNT_SOAK=1"},
		whatFor: "every system call answers as on a plain directory, on both stores and in both modes",
	},
	{
		name: "two mounts and maps", folder: "test", run: "^TestLikeMaps$", env: []string{"OBJMOUNT_SOAK=1"},
		whatFor: "random calls on two mounts while another client changes the bucket: what is allowed is what maps say",
	},
	{
		name: "kill -9", folder: "test", run: "^Test(Killed.*|CrashRounds|CrashResumesParts)$", env: []string{"OBJMOUNT_SOAK=1"},
		whatFor: "after a kill at any time, and at named points of uploads, copies and the journal, what returned is done, and what was under way is done or not done",
	},
	{
		name: "faulty store", folder: "test", run: "^Test(LostReplies|SlowDown|CutDownloads|RefusedWrite|FaultyCampaign|Outage|InterruptedOnADeadStore)$", env: []string{"OBJMOUNT_SOAK=1"},
		whatFor: "errors, resets, lost replies and cut bodies end in the right bytes or the documented error",
	},
	{
		name: "two mounts", folder: "test", run: "^Test(Contest|Exclusive|ChangedWhileOpen)$", env: []string{"OBJMOUNT_SOAK=1"},
		whatFor: "two mounts and other clients at the same files: no lost update, exclusive names, no mixture of versions while a file is open",
	},
	{
		name: "space and limits", folder: "test", run: "^Test(MemoryOf.*|UsageOf.*|FewDescriptors|FullStagingDisk|Staging.*|CacheDirectory)$", env: []string{"OBJMOUNT_SOAK=1"},
		whatFor: "full disks, a full staging area and bad cache directories lose nothing; peak memory with a million entries, 10,000 open files, a hundred writers, random reads of 50 GiB; goroutines, descriptors and requests with a thousand readers of a silent store",
	},
	{
		name: "workloads", folder: "test", run: "^Test(Workloads|Posix)$", env: []string{"OBJMOUNT_SOAK=1"},
		whatFor: "real programs in every combination of store, commit mode and cache; every file compared with what another client reads",
	},
}
