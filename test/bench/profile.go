package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

//go:embed testdata/profiler.go.txt
var profiler []byte

// buildProfiled builds an objmount into dir that has one file more: a profiler, which SIGUSR2 starts
// and stops. The product itself has none.
func buildProfiled(ctx context.Context, dir, scratch string) (binary string, err error) {
	if dir, err = filepath.Abs(dir); err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	module, err := filepath.Abs(".")
	if err != nil {
		return "", err
	}
	source := filepath.Join(scratch, "profiler.go")
	if err := os.WriteFile(source, profiler, 0o644); err != nil {
		return "", err
	}
	overlay, err := json.Marshal(map[string]map[string]string{
		"Replace": {filepath.Join(module, "cmd/objmount/profiler.go"): source},
	})
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(source+".json", overlay, 0o644); err != nil {
		return "", err
	}
	binary = filepath.Join(dir, "objmount")
	out, err := exec.CommandContext(ctx, "go", "build", "-overlay", source+".json", "-o", binary, "./cmd/objmount").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build, to be run in the module's root: %w\n%s", err, out)
	}
	return binary, nil
}
