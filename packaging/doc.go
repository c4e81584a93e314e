// Package packaging holds what distributions need: systemd units, examples for fstab, and
// install.sh. It has no code but the tests of these files.
package packaging
