//go:build unix

package queue_test

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestOpenWithoutPermission(t *testing.T) {
	fileOnly(t)
	t.Parallel()
	tests := []struct {
		name      string
		file, dir os.FileMode // 0: there is no file
		mode      string
		want      []string
	}{
		{"directory cannot be written", 0o644, 0o555, "owner", []string{"its directory cannot be written: permission denied", "--state"}},
		{"no file and the directory cannot be written", 0, 0o555, "owner", []string{"its directory cannot be written: permission denied", "--state"}},
		{"file cannot be written", 0o444, 0o777, "owner", []string{"cannot be written: permission denied", "--state"}},
		{"file cannot be read", 0o000, 0o777, "owner", []string{"cannot be read", "permission denied"}},
		{"guest, file cannot be read", 0o000, 0o777, "guest", []string{"cannot be read", "permission denied"}},
		{"guest, nothing can be written", 0o444, 0o555, "guest", []string{"cannot be"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, "sumbi.db")
			if tt.file != 0 || strings.Contains(tt.name, "read") {
				check(t, os.WriteFile(path, template, 0o600))
				check(t, os.Chmod(path, tt.file))
			}
			before := hash(t, path)
			check(t, os.Chmod(dir, tt.dir))
			got := openAsNobody(t, path, tt.mode)
			check(t, os.Chmod(dir, 0o700))
			sentence(t, got, append(tt.want, path)...)
			if after := hash(t, path); after != before {
				t.Error("the file was changed")
			}
		})
	}
}

// openAsNobody opens the file in a process that permissions hold for, and returns what it said.
func openAsNobody(t *testing.T, path, mode string) string {
	t.Helper()
	bin := t.TempDir()
	for _, d := range []string{bin, filepath.Dir(bin), filepath.Dir(filepath.Dir(path))} {
		check(t, os.Chmod(d, 0o755))
	}
	self, err := os.Executable()
	check(t, err)
	bin = filepath.Join(bin, "queue.test")
	if err := os.Link(self, bin); err != nil {
		check(t, copyProgram(self, bin))
	}
	cmd := exec.CommandContext(t.Context(), bin)
	cmd.Env = append(os.Environ(), "QUEUE_TEST_OPEN="+path, "QUEUE_TEST_MODE="+mode, "QUEUE_TEST_SCHEMA="+schema)
	cmd.Dir = "/"
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

func copyProgram(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
