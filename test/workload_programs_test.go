package test

import "strings"

func useGit(w *workspace) {
	w.sourceTree("origin")
	w.sh(`cd "$SRC/origin"
	      git init -q -b main
	      git add -A
	      git commit -q -m first
	      for i in 1 2 3 4 5; do echo "$i" >> notes; git add notes; git commit -q -m "note $i"; done`)
	w.sh(`git clone -q "file://$SRC/origin" clone
	      cd clone
	      git status --porcelain | diff /dev/null -
	      git checkout -q -b work
	      echo change >> notes
	      git mv private renamed
	      git commit -qam change
	      git gc -q --prune=now
	      git fsck --strict --no-dangling
	      test "$(git log -1 --format=%s)" = change
	      git push -q origin work
	      git checkout -q main
	      test -e private
	      git merge -q work
	      test -e renamed
	      git status --porcelain | diff /dev/null -`)
	w.sh(`cd "$SRC/origin"
	      git checkout -q work
	      git -C "$OLDPWD/clone" checkout -q work
	      diff <(git ls-files -s) <(git -C "$OLDPWD/clone" ls-files -s)
	      git -C "$OLDPWD/clone" status --porcelain | diff /dev/null -`)
}

func useSQLite(w *workspace) {
	out := w.sh(`sqlite3 db 'PRAGMA journal_mode=DELETE; CREATE TABLE t(id INTEGER PRIMARY KEY, x TEXT);'
	      for i in $(seq 8); do sqlite3 db "INSERT INTO t(x) VALUES('row $i');"; done
	      sqlite3 db "BEGIN; WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<5000)
	                  INSERT INTO t(x) SELECT hex(randomblob(40)) FROM n; COMMIT;"
	      sqlite3 db "BEGIN; DELETE FROM t; ROLLBACK;"
	      sqlite3 db "UPDATE t SET x=x||'!' WHERE id%100=0; DELETE FROM t WHERE id>4000; VACUUM;"
	      test ! -e db-journal
	      sqlite3 db 'PRAGMA integrity_check; SELECT count(*) FROM t; SELECT x FROM t WHERE id=8;'`)
	if want := "delete\nok\n4000\nrow 8\n"; out != want {
		w.Errorf("sqlite3 printed %q, want %q", out, want)
	}
}

func buildGo(w *workspace) {
	for name, text := range map[string]string{
		"m/go.mod":         "module example.com/m\n\ngo 1.21\n",
		"m/main.go":        "package main\n\nimport (\n\t\"fmt\"\n\t\"strings\"\n\n\t\"example.com/m/word\"\n)\n\nfunc main() { fmt.Println(strings.ToUpper(word.Hello)) }\n",
		"m/word/word.go":   "// Package word has a word.\npackage word\n\n// Hello is the word.\nconst Hello = \"hello\"\n",
		"m/word/w_test.go": "package word\n\nimport \"testing\"\n\nfunc TestWord(t *testing.T) {\n\tif Hello != \"hello\" {\n\t\tt.Fatal(Hello)\n\t}\n}\n",
	} {
		w.writeScratch(name, []byte(text), 0o644)
	}
	out := w.sh(`cp -r "$SRC/m" m
	      cd m
	      mkdir tmp
	      GOTMPDIR=$PWD/tmp go build -trimpath -o hello .
	      ./hello
	      GOTMPDIR=$PWD/tmp go test ./... >&2
	      go vet ./...
	      gofmt -l .
	      go build -trimpath -o "$SRC/hello" .
	      cmp hello "$SRC/hello"`)
	if strings.TrimSpace(out) != "HELLO" {
		w.Errorf("the program printed %q", out)
	}
}
