package main

import (
	"fmt"
	"strings"
	"time"
)

// parseMoment reads a moment as people write it:
//
//	2026-11-23T14:03:22Z    RFC 3339
//	2026-11-23 14:03:22     local time; seconds and the time may be left out
//	14:03:22                today, local time
//	-10m                    so long before now
//	now
func parseMoment(text string, now time.Time) (time.Time, error) {
	if text == "now" {
		return now, nil
	}
	if ago, ok := strings.CutPrefix(text, "-"); ok {
		d, err := time.ParseDuration(ago)
		if err != nil || d < 0 {
			return time.Time{}, fmt.Errorf("%q: want a time before now, as in -10m or -1h30m", text)
		}
		return now.Add(-d), nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	local := strings.Replace(text, "T", " ", 1)
	for _, layout := range []string{time.DateTime, "2006-01-02 15:04", time.DateOnly} {
		if at, err := time.ParseInLocation(layout, local, now.Location()); err == nil {
			return at, nil
		}
	}
	for _, layout := range []string{time.TimeOnly, "15:04"} {
		if at, err := time.Parse(layout, text); err == nil {
			y, m, d := now.Date()
			return time.Date(y, m, d, at.Hour(), at.Minute(), at.Second(), 0, now.Location()), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q: want a moment, as in 2026-11-23T14:03:22Z, \"2026-11-23 14:03:22\", 14:03 or -10m", text)
}

// joinMoments writes --at -10m as --at=-10m: the parser would take what begins
// with a dash for a flag.
func joinMoments(args []string) []string {
	var joined []string
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch arg {
		case "--":
			return append(joined, args[i:]...)
		case "--at", "--since", "--until":
			if i+1 < len(args) && len(args[i+1]) > 1 && args[i+1][0] == '-' && args[i+1][1] >= '0' && args[i+1][1] <= '9' {
				i++
				arg += "=" + args[i]
			}
		}
		joined = append(joined, arg)
	}
	return joined
}
