package crash

import (
	"fmt"
	"slices"
	"strings"
)

// directoryCases is every state of a directory that the rules of Redis's files
// name, and those in which Redis does harm.
func directoryCases() []directoryCase {
	return slices.Concat(manifestCases(), missingCases(), orphanCases(), upgradeCases(), tornCases(), dumpCases(), loadCases(), nameCases())
}

func manifestCases() []directoryCase {
	manifestOf := func(text string) map[string]string {
		return with(whole, manifest, text, base2, rdbOf("n=1"), incr2, "")
	}
	return []directoryCase{
		{name: "as a server leaves it", files: whole, theirs: "n=3"},
		{name: "base and incr count on their own, with gaps", theirs: "n=3",
			files: map[string]string{base2: whole[base1], sub + "appendonly.aof.4.incr.aof": whole[incr1], sub + "appendonly.aof.9.incr.aof": "",
				manifest: "file appendonly.aof.2.base.rdb seq 2 type b\nfile appendonly.aof.4.incr.aof seq 4 type i\nfile appendonly.aof.9.incr.aof seq 9 type i\n"}},
		{name: "manifest with a comment", files: manifestOf("# moved here on Monday\n" + names), theirs: "n=3"},
		{name: "manifest with keys in any order and case", files: manifestOf("TYPE b Seq 1 FILE appendonly.aof.1.base.rdb\n" + namesIncr1), theirs: "n=3"},
		{name: "manifest with quotes", files: manifestOf(namesBase1 + `'file' "appendonly.aof.1.in\x63r.aof" seq '1' type i` + "\n"), theirs: "n=3"},
		{name: "manifest of a newer version, with keys that nobody knows", theirs: "n=3",
			files: manifestOf(namesBase1 + "file appendonly.aof.1.incr.aof seq 1 type i startoffset 5 endoffset 7\n")},
		{name: "manifest of a newer version, with a type that nobody knows", files: manifestOf(names + "file new seq 1 type n\n"), theirs: "refuses: Unknown AOF file type"},
		{name: "manifest empty", files: manifestOf(""), theirs: "refuses: Found an empty AOF manifest"},
		{name: "manifest with a blank line", files: manifestOf(namesBase1 + "\n" + namesIncr1), theirs: "refuses: Invalid AOF manifest file format"},
		{name: "manifest without a newline at its end", files: manifestOf(strings.TrimSuffix(names, "\n")), theirs: "refuses: The AOF manifest file contains too long line"},
		{name: "manifest with too long a line", files: manifestOf(namesBase1 + "file appendonly.aof.1.incr.aof seq 1 type i k " + strings.Repeat("v", 1024) + "\n"),
			theirs: "refuses: The AOF manifest file contains too long line"},
		{name: "manifest with two bases", files: manifestOf(namesBase1 + "file appendonly.aof.2.base.rdb seq 2 type b\n"), theirs: "refuses: Found duplicate base file information"},
		{name: "manifest with falling numbers", files: manifestOf(namesBase1 + namesIncr2 + namesIncr1), theirs: "refuses: Found a non-monotonic sequence number"},
		{name: "manifest with one number twice", files: manifestOf(names + "file appendonly.aof.2.incr.aof seq 1 type i\n"), theirs: "refuses: Found a non-monotonic sequence number"},
		{name: "manifest with number 0", files: manifestOf(namesBase1 + "file appendonly.aof.1.incr.aof seq 0 type i\n"), theirs: "refuses: Invalid AOF manifest file format"},
		{name: "manifest with a path", files: manifestOf(namesBase1 + "file ../appendonlydir/appendonly.aof.1.incr.aof seq 1 type i\n"), theirs: "refuses: File can't be a path, just a filename"},
		{name: "manifest without a type", files: manifestOf(namesBase1 + "file appendonly.aof.1.incr.aof seq 1 kind i\n"), theirs: "refuses: Invalid AOF manifest file format"},
		{name: "manifest with a quote left open", files: manifestOf(namesBase1 + "file \"appendonly.aof.1.incr.aof seq 1 type i\n"), theirs: "refuses: Invalid AOF manifest file format"},
		{name: "manifest that names a file twice", files: manifestOf(names + "file appendonly.aof.1.incr.aof seq 2 type i\n"),
			theirs: "n=5", theirs2: "n=5 probe=2", ours: "refuses: Found a file that is listed twice", why: "what is in it would be counted twice"},
		{name: "manifest is a directory", files: with(without(whole, manifest), manifest+"/", ""), theirs: "refuses: ", ours: "refuses: is a directory"},
		{name: "the log's directory is a file", files: map[string]string{"appendonlydir": "x"}, theirs: "refuses: ", ours: "refuses: not a directory"},
	}
}

func missingCases() []directoryCase {
	const missing = "refuses: named by the manifest but missing: "
	return []directoryCase{
		{name: "nothing there", theirs: ""},
		{name: "base missing", files: without(whole, base1), theirs: "refuses: ", ours: missing + "appendonly.aof.1.base.rdb"},
		{name: "first incr missing", files: without(two, incr1), theirs: "refuses: ", ours: missing + "appendonly.aof.1.incr.aof"},
		{name: "last incr missing", files: without(two, incr2), theirs: "refuses: ", ours: missing + "appendonly.aof.2.incr.aof"},
		{name: "history missing", files: with(whole, manifest, "file gone seq 1 type h\n"+names), theirs: "n=3"},
		{name: "history there", files: with(whole, sub+"old.base.rdb", "old", sub+"old.incr.aof", "old",
			manifest, namesBase1+"file old.base.rdb seq 1 type h\nfile old.incr.aof seq 1 type h\n"+namesIncr1), theirs: "n=3", gone: []string{sub + "old.base.rdb", sub + "old.incr.aof"}},
		{name: "history kept", files: with(whole, sub+"old.base.rdb", "old", manifest, namesBase1+"file old.base.rdb seq 1 type h\n"+namesIncr1),
			args: []string{"--aof-disable-auto-gc", "yes"}, theirs: "n=3", kept: []string{sub + "old.base.rdb"}},
		{name: "incr empty", files: with(whole, incr1, ""), theirs: "n=1"},
		{name: "incr without a base", files: with(without(whole, base1), manifest, namesIncr1), theirs: "n=2"},
		{name: "base of commands empty, incr not", theirs: "n=2",
			files: map[string]string{sub + "b.aof": "", incr1: whole[incr1], manifest: "file b.aof seq 1 type b\n" + namesIncr1}},
		{name: "base of commands empty, incr too", theirs: "",
			files: map[string]string{sub + "b.aof": "", incr1: "", manifest: "file b.aof seq 1 type b\n" + namesIncr1}},
		{name: "RDB base empty, incr not", files: with(whole, base1, ""), theirs: "n=2", ours: "refuses: is damaged at byte 0", why: "an RDB is never empty (trap B)"},
		{name: "RDB base empty, incr too", files: with(whole, base1, "", incr1, ""), theirs: "", ours: "refuses: is damaged at byte 0", why: "an RDB is never empty (trap B)"},
		{name: "RDB base short, incr empty", files: with(whole, base1, whole[base1][:30], incr1, ""), theirs: "refuses: ", ours: "refuses: truncated"},
		{name: "RDB base short, nothing behind it", files: with(without(whole, incr1), base1, whole[base1][:30], manifest, namesBase1), theirs: "refuses: ", ours: "refuses: truncated"},
	}
}

func orphanCases() []directoryCase {
	const refused = "refuses: refusing to start over files"
	return []directoryCase{
		{name: "incr without a manifest", files: without(whole, manifest, base1), theirs: "", theirs2: "n=2 probe=1", ours: refused,
			why: "a new log would be appended to the old one (trap C)"},
		{name: "base without a manifest", files: map[string]string{base1: whole[base1]}, theirs: "", ours: refused, why: "the old one would be written over (trap C)"},
		{name: "a manifest of nothing beside a log", files: with(whole, manifest, "# restored by hand\n"), theirs: "", theirs2: "n=2 probe=1", ours: refused,
			why: "as without a manifest (trap C)"},
		{name: "incr later than the manifest", files: with(whole, incr2, logOf("SELECT 0", "INCR n")), theirs: "n=3", ours: refused,
			why: "the manifest is an old one, or the next rewrite would write over data"},
		{name: "incr later than the manifest, empty", files: with(whole, incr2, ""), theirs: "n=3", says: "a log file that nothing names"},
		{name: "base later than the manifest", files: with(whole, base2, rdbOf("n=7")), theirs: "n=3", says: "a log file that nothing names", kept: []string{base2}},
		{name: "temporary files of ours and of Redis", theirs: "n=3", says: "temp-rewriteaof-815.aof",
			files: with(whole, sub+"temp-appendonly.aof.manifest", "x", sub+"temp-appendonly.aof.incr", "x", sub+"temp-appendonly.aof.17.base", "x",
				"temp-appendonly.aof.rdb", "x", "temp-rewriteaof-815.aof", "x", "temp-rewriteaof-bg-815.aof", "x", "temp-815.rdb", "x"),
			gone: []string{sub + "temp-appendonly.aof.manifest", sub + "temp-appendonly.aof.incr", sub + "temp-appendonly.aof.17.base", "temp-appendonly.aof.rdb"},
			kept: []string{"temp-rewriteaof-815.aof", "temp-rewriteaof-bg-815.aof", "temp-815.rdb"}},
		{name: "an unfinished dump of Redis is said", files: with(whole, "temp-815.rdb", "x"), theirs: "n=3", says: "temp-815.rdb"},
		{name: "history of a rewrite not yet deleted, the new incr not yet begun", theirs: "n=3", gone: []string{incr1},
			files: map[string]string{base2: rdbOf("n=3"), incr1: whole[incr1], incr2: "",
				manifest: "file appendonly.aof.2.base.rdb seq 2 type b\nfile appendonly.aof.1.base.rdb seq 1 type h\nfile appendonly.aof.1.incr.aof seq 1 type h\n" + namesIncr2}},
	}
}

// upgradeCases are the log of a Redis before 7, one file, and every step of its
// way into the directory.
func upgradeCases() []directoryCase {
	old := logOf("SELECT 0", "SET n 3")
	const namesOld = "file appendonly.aof seq 1 type b\n"
	moved := []string{single}
	return []directoryCase{
		{name: "single file", files: map[string]string{single: old}, theirs: "n=3", gone: moved},
		{name: "single file that begins with an RDB", files: map[string]string{single: rdbOf("n=2") + logOf("SELECT 0", "INCR n")}, theirs: "n=3", gone: moved},
		{name: "single file beside a dump", files: map[string]string{single: old, "dump.rdb": rdbOf("n=1")}, theirs: "n=3", gone: moved},
		{name: "single file torn", files: map[string]string{single: torn(old + logOf("INCR n"))}, theirs: "n=3", gone: moved},
		{name: "single file and a directory", files: map[string]string{single: old, sub: ""}, theirs: "n=3", gone: moved},
		{name: "single file and an unfinished manifest", files: map[string]string{single: old, sub + "temp-appendonly.aof.manifest": namesOld[:9]}, theirs: "n=3", gone: moved},
		{name: "single file and a manifest of nothing", files: map[string]string{single: old, manifest: "# nothing\n"}, theirs: "n=3", gone: moved},
		{name: "single file named, not moved", files: map[string]string{single: old, manifest: namesOld}, theirs: "n=3", gone: moved},
		{name: "single file named and moved", files: map[string]string{sub + single: old, manifest: namesOld}, theirs: "n=3", kept: []string{sub + single}},
		{name: "single file named and moved, with an incr", theirs: "n=5",
			files: map[string]string{sub + single: old, incr1: whole[incr1], manifest: namesOld + namesIncr1}, kept: []string{sub + single}},
		{name: "single file in both places", files: map[string]string{single: logOf("SET n 9"), sub + single: old, manifest: namesOld}, theirs: "n=3", kept: moved},
		{name: "single file beside a log of its own", files: with(whole, single, logOf("SET n 9")), theirs: "n=3", kept: moved},
		{name: "single file moved, not named", files: map[string]string{sub + single: old}, theirs: "", ours: "refuses: refusing to start over files",
			why: "Redis names it first, so this is a manifest lost (trap C)"},
		{name: "single file empty", files: map[string]string{single: ""}, theirs: "", gone: moved},
	}
}

func tornCases() []directoryCase {
	log := logOf("SELECT 0", "INCR n") + logOf(strings.Split(transaction, "|")...)
	openMulti := log[:len(log)-len(logOf("EXEC"))]
	no := []string{"--aof-load-truncated", "no"}
	return []directoryCase{
		{name: "torn at the end", files: with(whole, incr1, torn(whole[incr1])), theirs: "n=2", says: "kept beside it"},
		{name: "torn at the end, and that is not allowed", files: with(whole, incr1, torn(whole[incr1])), args: no, theirs: "refuses: Unexpected end of file", ours: "refuses: ends in the middle of a command"},
		{name: "torn inside MULTI", files: with(whole, incr1, torn(openMulti)), theirs: "n=2", theirs2: "n=2", ours2: "n=2 probe=1",
			why: "Redis leaves a half transaction, and loses or doubles what follows it (trap D)"},
		{name: "torn behind the last command of a MULTI", files: with(whole, incr1, openMulti), theirs: "n=2"},
		{name: "torn inside MULTI, and that is not allowed", files: with(whole, incr1, openMulti), args: no, theirs: "refuses: Unexpected end of file", ours: "refuses: ends in the middle of a command"},
		{name: "torn with zeros behind", files: with(whole, incr1, whole[incr1]+strings.Repeat("\x00", 4096)), theirs: "refuses: Bad file format", ours: "n=3", why: "a file that grew before a power cut (trap F)"},
		{name: "torn before the last file", files: with(two, incr1, torn(two[incr1])), theirs: "refuses: ", theirs2: "n=3", ours: "refuses: there is a hole in the log",
			why: "Redis cuts it while it refuses, and loads over the hole the next time (trap A)"},
		{name: "MULTI open before the last file", files: with(two, incr1, openMulti), theirs: "refuses: ", theirs2: "n=3", ours: "refuses: there is a hole in the log", why: "as trap A"},
		{name: "base of commands torn, an incr behind it", theirs: "refuses: ", theirs2: "n=3", ours: "refuses: there is a hole in the log", why: "as trap A",
			files: map[string]string{sub + "b.aof": torn(logOf("SET n 1", "SET n 2")), incr1: whole[incr1], manifest: "file b.aof seq 1 type b\n" + namesIncr1}},
		{name: "garbage in the middle", files: with(whole, incr1, logOf("SELECT 0", "INCR n")+"garbage"+logOf("INCR n")), theirs: "refuses: Bad file format", ours: "refuses: is damaged at byte"},
		{name: "EXEC without MULTI", files: with(whole, incr1, logOf("SELECT 0", "EXEC", "INCR n")), theirs: "n=2", ours: "refuses: EXEC without MULTI", why: "no server has written that"},
		{name: "MULTI in MULTI", files: with(whole, incr1, logOf("SELECT 0", "MULTI", "INCR n", "MULTI", "INCR n", "EXEC")), theirs: "n=3", ours: "refuses: MULTI inside the MULTI", why: "it is what trap D leaves, with a half transaction in it"},
		{name: "a command that nobody knows", files: with(whole, incr1, logOf("SELECT 0", "NOSUCH n")), theirs: "refuses: Unknown command", ours: "refuses: unknown command"},
		{name: "a damaged RDB base", files: with(whole, base1, strings.Replace(whole[base1], "n", "m", 1)), theirs: "refuses: ", ours: "refuses: "},
	}
}

func dumpCases() []directoryCase {
	dump := func(text string) map[string]string { return map[string]string{"dump.rdb": text} }
	off := []string{"--appendonly", "no", "--save", "3600 1"}
	return []directoryCase{
		{name: "dump alone, for a log that begins", files: dump(rdbOf("n=3")), theirs: "", ours: "n=3", why: "Redis starts empty (trap G)", says: "dump.rdb"},
		{name: "dump alone and a base of commands wanted", files: dump(rdbOf("n=3")), args: []string{"--aof-use-rdb-preamble", "no"}, theirs: "", ours: "n=3", why: "as trap G"},
		{name: "dump short, for a log that begins", files: dump(rdbOf("n=3")[:40]), theirs: "", ours: "refuses: truncated", why: "as trap G"},
		{name: "dump beside a log", files: with(whole, "dump.rdb", rdbOf("n=9")), theirs: "n=3", kept: []string{"dump.rdb"}},
		{name: "dump short beside a log", files: with(whole, "dump.rdb", "REDIS"), theirs: "n=3", kept: []string{"dump.rdb"}},
		{name: "no log wanted, dump missing", args: off, theirs: ""},
		{name: "no log wanted, dump there", args: off, files: dump(rdbOf("n=3")), theirs: "n=3"},
		{name: "no log wanted, and one there", args: off, files: with(whole, "dump.rdb", rdbOf("n=9")), theirs: "n=9", says: "appendonly is no, but", kept: []string{manifest, base1, incr1}},
		{name: "no log wanted, dump empty", args: off, files: dump(""), theirs: "refuses: ", ours: "refuses: truncated"},
		{name: "no log wanted, dump short", args: off, files: dump(rdbOf("n=3")[:40]), theirs: "refuses: ", ours: "refuses: truncated"},
		{name: "no log wanted, dump with another sum", args: off, files: dump(strings.Replace(rdbOf("n=3"), "n", "m", 1)), theirs: "refuses: ", ours: "refuses: "},
		{name: "no log wanted, dump of no Redis", args: off, files: dump("something else"), theirs: "refuses: Wrong signature", ours: "refuses: "},
		{name: "no log wanted, dump of Redis 7.4", args: off, files: dump(version(rdbOf("n=3"), "0012")), theirs: "refuses: Can't handle RDB format version 12", ours: "n=3", why: "we read up to version 12 (trap J)"},
		{name: "no log wanted, dump newer than all", args: off, files: dump(version(rdbOf("n=3"), "0099")), theirs: "refuses: Can't handle RDB format version 99", ours: "refuses: version 99"},
		{name: "no log wanted, dump under another name", args: append([]string{"--dbfilename", "my dump.rdb"}, off...), files: map[string]string{"my dump.rdb": rdbOf("n=3")}, theirs: "n=3"},
		{name: "no log wanted, keys of the dump expired", args: off, files: dump(rdbOf("n=3", fmt.Sprintf("gone=1@%d", passed))), theirs: "n=3"},
	}
}

func loadCases() []directoryCase {
	gone := fmt.Sprintf("gone=1@%d", passed)
	one := []string{"--databases", "1"}
	return []directoryCase{
		{name: "base with an expired key", files: with(whole, base1, rdbOf("n=1", gone)), theirs: "n=3"},
		{name: "base with an expired key that the log brings back", files: with(whole, base1, rdbOf("n=1", gone), incr1, logOf("SELECT 0", "PERSIST gone")), theirs: "gone=1 n=1"},
		{name: "log with a deadline that has passed", files: with(whole, incr1, logOf("SELECT 0", "INCR n", fmt.Sprintf("PEXPIREAT n %d", passed), "PERSIST n")), theirs: "n=2"},
		{name: "each file begins in database 0", files: with(two, incr1, logOf("SELECT 2", "INCR n"), incr2, logOf("INCR n")), theirs: "n=2 2/n=1", theirs2: "n=2 probe=1 2/n=1"},
		{name: "RDB in the middle of the log", files: with(two, incr2, rdbOf("m=1")+logOf("SELECT 0", "INCR n")), theirs: "m=1 n=4"},
		{name: "timestamps", files: with(whole, incr1, "#TS:1700000000\r\n"+whole[incr1]+"#TS:1700000001\r\n"), theirs: "n=3"},
		{name: "base newer than all", files: with(whole, base1, version(whole[base1], "0099")), theirs: "refuses: Can't handle RDB format version 99", ours: "refuses: version 99"},
		{name: "base of Redis 7.2", files: with(whole, base1, version(whole[base1], "0011")), theirs: "refuses: Can't handle RDB format version 11", ours: "n=3", why: "we read up to version 12 (trap J)",
			theirs3: "refuses: Can't handle RDB format version 11"}, // until the next rewrite
		{name: "base of more databases than configured", args: one, files: with(whole, base1, rdbOf("n=1", "3/n=7")), theirs: "refuses: configured to handle more than 1 databases", ours: "refuses: only 1 databases are configured"},
		{name: "log of more databases than configured", args: one, files: with(whole, incr1, logOf("SELECT 3", "SET n 7")), theirs: "n=7", ours: "refuses: only 1 databases are configured",
			why: "Redis puts what follows into database 0"},
		{name: "dump of more databases than configured", args: append([]string{"--appendonly", "no"}, one...), files: map[string]string{"dump.rdb": rdbOf("3/n=7")},
			theirs: "refuses: configured to handle more than 1 databases", ours: "refuses: only 1 databases are configured"},
	}
}

func nameCases() []directoryCase {
	file := func(name string) []string { return []string{"--appendfilename", name} }
	return []directoryCase{
		{name: "file name with a blank", args: file("my log.aof"), theirs: "", kept: []string{}},
		{name: "file name with double quotes", args: file(`a "b".aof`), theirs: ""},
		{name: "file name with a single quote", args: file("it's.aof"), theirs: "", theirs2: "refuses: Invalid AOF manifest file format", ours: "", ours2: "probe=1", why: "Redis writes a manifest that it cannot read"},
		{name: "file name beyond ASCII", args: file("für immer.aof"), theirs: ""},
		{name: "file name that is a path", args: file("a/b"), theirs: "refuses: ", ours: "refuses: "},
		{name: "file name that is empty", args: file(""), theirs: "refuses: ", ours: "refuses: "},
		{name: "directory name with a blank", args: []string{"--appenddirname", "my logs"}, theirs: ""},
		{name: "directory name with a slash", args: []string{"--appenddirname", "a/b"}, theirs: "refuses: ", ours: "refuses: "},
		{name: "directory name with a backslash", args: []string{"--appenddirname", `a\b`}, theirs: "refuses: ", ours: "refuses: "},
		{name: "directory name that is empty", args: []string{"--appenddirname", ""}, theirs: "refuses: ", ours: "refuses: "},
		{name: "files of another name", files: whole, args: file("other.aof"), theirs: "", kept: []string{manifest, base1, incr1}},
	}
}
