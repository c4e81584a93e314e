package main

import (
	"strings"
)

// invocation is how the program was called, in the words of cobra's command line.
type invocation struct {
	args   []string // argv as given; the process in the background is started with them
	words  []string // subcommand, flags, arguments
	mount8 bool     // by mount(8) or umount(8): its exit codes
	sloppy bool     // mount -s: unknown options are passed over
	child  bool     // in the background: the parent prints the error
	fake   bool     // mount -f: everything but the mount
}

// readInvocation recognises the calling conventions:
//
//	objmount COMMAND ...                                   a user
//	objmount SOURCE DIR [-o options]                       mount.fuse3, type fuse.objmount
//	mount.objmount SOURCE DIR [-sfnv] [-N ns] [-o options] [-t type]     mount(8), type objmount
//	umount.fuse.objmount DIR [-fnlrv] [-N ns] [-t type]    umount(8)
//
// The last two are symlinks to objmount in /sbin.
func readInvocation(args []string) (*invocation, error) {
	inv := &invocation{args: args}
	switch programName(args) {
	case "mount.objmount", "mount.fuse.objmount":
		inv.mount8 = true
		return inv, inv.readMount8(args[1:])
	case "umount.objmount", "umount.fuse.objmount":
		inv.mount8 = true
		return inv, inv.readUmount8(args[1:])
	}
	inv.words = args[1:]
	if len(inv.words) > 0 && isSource(inv.words[0]) {
		inv.words = append([]string{"mount"}, inv.words...)
	}
	return inv, nil
}

// readMount8 reads mount(8)'s convention. Single letters may stand together.
func (inv *invocation) readMount8(args []string) error {
	inv.words = []string{"mount"}
	var plain []string
	for i := 0; i < len(args); i++ {
		a := args[i]
		if !strings.HasPrefix(a, "-") || a == "-" {
			plain = append(plain, a)
			continue
		}
		for j, letter := range a[1:] {
			switch letter {
			case 's':
				inv.sloppy = true
			case 'f':
				inv.fake = true
			case 'n', 'v', 'w':
			case 'r':
				inv.words = append(inv.words, "-o", "ro")
			case 'o', 't', 'N':
				value := a[1+j+1:]
				if value == "" {
					if i++; i == len(args) {
						return usage("option -%c needs a value", letter)
					}
					value = args[i]
				}
				if letter == 'o' {
					inv.words = append(inv.words, "-o", value)
				}
				if letter == 'N' {
					return usage("mounting into another namespace (-N %s) is not supported; use nsenter", value)
				}
			case 'h':
				inv.words = append(inv.words, "--help")
			case 'V':
				inv.words = []string{"version"}
				return nil
			default:
				return usage("unknown flag -%c; mount(8) passes -s -f -n -v -r -w -o -t -N", letter)
			}
			if letter == 'o' || letter == 't' || letter == 'N' {
				break // the rest was its value
			}
		}
	}
	inv.words = append(append(inv.words, "--"), plain...)
	return nil
}

// readUmount8 reads umount(8)'s convention. -f is umount's "force", which detaches lazily here.
func (inv *invocation) readUmount8(args []string) error {
	inv.words = []string{"umount"}
	var plain []string
	for i := 0; i < len(args); i++ {
		a := args[i]
		if !strings.HasPrefix(a, "-") || a == "-" {
			plain = append(plain, a)
			continue
		}
		for j, letter := range a[1:] {
			switch letter {
			case 'l', 'f':
				inv.words = append(inv.words, "--lazy")
			case 'n', 'v', 'r', 'd', 'c', 'i':
			case 't', 'N':
				if a[1+j+1:] == "" {
					i++
				}
			case 'h':
				inv.words = append(inv.words, "--help")
			case 'V':
				inv.words = []string{"version"}
				return nil
			default:
				return usage("unknown flag -%c; umount(8) passes -f -l -n -r -v -t -N", letter)
			}
			if letter == 't' || letter == 'N' {
				break
			}
		}
	}
	inv.words = append(append(inv.words, "--"), plain...)
	return nil
}

// mount8Code is the exit status in mount(8)'s numbers, which mount passes on.
func mount8Code(code exitCode) int {
	const (
		mountUsage       = 1
		mountInterrupted = 8
		mountFailure     = 32
	)
	switch code {
	case exitOK:
		return 0
	case exitUsage:
		return mountUsage
	case exitInterrupted:
		return mountInterrupted
	default:
		return mountFailure
	}
}
