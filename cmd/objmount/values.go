package main

import (
	"errors"
	"fmt"
	"math"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
)

// The types of flag values. Their Set methods return errors that say what is wanted; pflag puts
// the flag's name before them.

// size is a number of bytes: "256MiB", "10GB", "4096".
type size int64

func (s *size) Set(text string) error {
	n, err := humanize.ParseBytes(strings.TrimSpace(text))
	if err != nil || n > math.MaxInt64 {
		return errors.New("want a size such as 512MiB, 10GiB or 1000000 (bytes)")
	}
	*s = size(n)
	return nil
}

func (s *size) String() string {
	for _, unit := range []struct {
		bytes int64
		name  string
	}{{1 << 40, "TiB"}, {1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if n := int64(*s); n >= unit.bytes && n%unit.bytes == 0 {
			return strconv.FormatInt(n/unit.bytes, 10) + unit.name
		}
	}
	return strconv.FormatInt(int64(*s), 10)
}

func (*size) Type() string { return "size" }

// interval is a length of time: "10s", "1m30s", "7d", or a number of seconds.
type interval time.Duration

func (i *interval) Set(text string) error {
	wrong := errors.New("want a time such as 500ms, 10s, 5m, 2h, 7d, or a number of seconds")
	if n, err := strconv.ParseUint(text, 10, 31); err == nil {
		*i = interval(time.Duration(n) * time.Second)
		return nil
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return wrong
		}
		*i = interval(time.Duration(n) * 24 * time.Hour)
		return nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return wrong
	}
	*i = interval(d)
	return nil
}

func (i *interval) String() string {
	text := time.Duration(*i).String()
	for _, end := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, end) {
			text = text[:len(text)-2]
		}
	}
	return text
}

func (*interval) Type() string { return "time" }

// octal is permission bits, 0 to 0777.
type octal uint32

func (o *octal) Set(text string) error {
	n, err := strconv.ParseUint(strings.TrimPrefix(text, "0o"), 8, 32)
	if err != nil || n > 0o777 {
		return errors.New("want octal permission bits such as 0644")
	}
	*o = octal(n)
	return nil
}

func (o *octal) String() string { return fmt.Sprintf("%04o", uint32(*o)) }

func (*octal) Type() string { return "octal" }

// choice is one word of a few.
type choice struct {
	value   string
	allowed []string
}

func (c *choice) Set(text string) error {
	if !slices.Contains(c.allowed, text) {
		return fmt.Errorf("want one of %s", strings.Join(c.allowed, ", "))
	}
	c.value = text
	return nil
}

func (c *choice) String() string { return c.value }

func (c *choice) Type() string { return strings.Join(c.allowed, "|") }

// account is a user or group id, given as a number or a name.
type account struct {
	id     uint32
	lookup func(name string) (string, error) // from name to number
	what   string
}

func (a *account) Set(text string) error {
	number := text
	if _, err := strconv.ParseUint(text, 10, 32); err != nil {
		if number, err = a.lookup(text); err != nil {
			return fmt.Errorf("there is no %s %q on this machine", a.what, text)
		}
	}
	n, err := strconv.ParseUint(number, 10, 32)
	if err != nil || n == math.MaxUint32 {
		return fmt.Errorf("want the number or name of a %s", a.what)
	}
	a.id = uint32(n)
	return nil
}

func (a *account) String() string { return strconv.FormatUint(uint64(a.id), 10) }

func (a *account) Type() string { return a.what }

func lookupUser(name string) (string, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return "", err
	}
	return u.Uid, nil
}

func lookupGroup(name string) (string, error) {
	g, err := user.LookupGroup(name)
	if err != nil {
		return "", err
	}
	return g.Gid, nil
}

// count is a number within limits.
type count struct {
	n, low, high int
}

func (c *count) Set(text string) error {
	n, err := strconv.Atoi(text)
	if err != nil || n < c.low || n > c.high {
		return fmt.Errorf("want a number from %d to %d", c.low, c.high)
	}
	c.n = n
	return nil
}

func (c *count) String() string { return strconv.Itoa(c.n) }

func (*count) Type() string { return "number" }
