package attributes

import (
	"math"
	"strconv"
	"strings"
	"time"
)

const (
	second = 1_000_000_000 // nanoseconds
	// maxSeconds keeps time.Unix from overflowing.
	maxSeconds = 1 << 62
)

func formatMode(mode uint32) string {
	return "0" + strconv.FormatUint(uint64(mode&(TypeMask|PermMask)), 8)
}

// parseOctal reads file-permissions.
func parseOctal(s string) (mode uint32, ok bool) {
	n, err := strconv.ParseUint(s, 8, 32)
	return uint32(n), err == nil && n <= uint64(TypeMask|PermMask)
}

// parseMode reads mode: octal says that it is rclone's and not s3fs's or geesefs's.
func parseMode(s string) (mode uint32, octal, ok bool) {
	eight, isOctal := parseOctal(s)
	if strings.HasPrefix(s, "0") {
		return eight, true, isOctal
	}
	n, err := strconv.ParseUint(s, 10, 32)
	if err == nil && n <= uint64(TypeMask|PermMask) && (n <= uint64(PermMask) || validType(uint32(n))) {
		return uint32(n), false, true
	}
	return eight, true, isOctal && validType(eight)
}

func validType(mode uint32) bool {
	switch mode & TypeMask {
	case TypeSocket, TypeLink, TypeFile, TypeBlock, TypeDir, TypeChar, TypePipe:
		return true
	default:
		return false
	}
}

func formatID(id uint32) string {
	if id == math.MaxUint32 {
		return ""
	}
	return strconv.FormatUint(uint64(id), 10)
}

func parseID(s string) (id uint32, ok bool) {
	n, err := strconv.ParseUint(s, 10, 32)
	return uint32(n), err == nil && n != math.MaxUint32
}

// formatTime writes nanoseconds since 1970, also beyond the range of an int64.
func formatTime(t time.Time) string {
	sec, nsec := t.Unix(), int64(t.Nanosecond())
	if sec > maxSeconds || sec < -maxSeconds {
		return ""
	}
	sign := ""
	if sec < 0 {
		sign, sec = "-", -sec
		if nsec > 0 {
			sec, nsec = sec-1, second-nsec
		}
	}
	digits := strconv.FormatInt(nsec, 10)
	if sec > 0 {
		digits = strconv.FormatInt(sec, 10) + strings.Repeat("0", 9-len(digits)) + digits
	}
	return sign + digits + "ns"
}

// parseNanoseconds reads file-mtime: "…ns", or milliseconds without a unit.
func parseNanoseconds(s string) (time.Time, bool) {
	digits, isNano := strings.CutSuffix(s, "ns")
	unit := 9 // decimal digits below the second
	if !isNano {
		unit = 3
	}
	number, negative := strings.CutPrefix(digits, "-")
	if !isDecimal(number) {
		return time.Time{}, false
	}
	if len(number) <= unit {
		number = strings.Repeat("0", unit+1-len(number)) + number
	}
	at := len(number) - unit
	return join(negative, number[:at], number[at:])
}

// parseTime reads mtime of s3fs, geesefs and rclone: seconds with a fraction, or RFC 3339.
func parseTime(s string) (time.Time, bool) {
	number, negative := strings.CutPrefix(s, "-")
	whole, fraction, dotted := strings.Cut(number, ".")
	if isDecimal(whole) && (!dotted || isDecimal(fraction)) {
		return join(negative, whole, fraction)
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	return t, err == nil
}

// join makes a time of decimal digits before and after the point.
func join(negative bool, whole, fraction string) (time.Time, bool) {
	sec, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || sec > maxSeconds {
		return time.Time{}, false
	}
	nsec, err := strconv.ParseInt((fraction + "000000000")[:9], 10, 64)
	if err != nil {
		return time.Time{}, false
	}
	if negative {
		sec, nsec = -sec, -nsec
	}
	return time.Unix(sec, nsec), true
}

func isDecimal(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// formatDevice writes "major:minor" of the kernel's 32-bit number: minor in bits 0-7 and
// 20-31, major in bits 8-19.
func formatDevice(rdev uint32) string {
	major, minor := rdev>>8&0xfff, rdev&0xff|rdev>>12&0xfff00
	return strconv.FormatUint(uint64(major), 10) + ":" + strconv.FormatUint(uint64(minor), 10)
}

func parseDevice(s string) (rdev uint32, ok bool) {
	first, after, found := strings.Cut(s, ":")
	major, err1 := strconv.ParseUint(first, 10, 12)
	minor, err2 := strconv.ParseUint(after, 10, 20)
	if !found || err1 != nil || err2 != nil {
		return 0, false
	}
	return uint32(major<<8 | minor&0xff | minor&0xfff00<<12), true
}

// parseRdev reads rdev: rclone's is hexadecimal, geesefs's decimal.
func parseRdev(s string, rclone bool) (rdev uint32, ok bool) {
	base := 10
	if rclone {
		base = 16
	}
	n, err := strconv.ParseUint(s, base, 32)
	if err != nil {
		n, err = strconv.ParseUint(s, 16, 32)
	}
	return uint32(n), err == nil
}
