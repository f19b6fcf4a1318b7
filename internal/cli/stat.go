package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// stat prints a line of figures each interval, until nobody reads them.
func (s *session) stat() error {
	const headEvery = 20 // lines
	interval := s.o.interval
	if interval == 0 {
		interval = time.Second
	}
	var before int64 // commands processed
	for i := 0; ; i++ {
		v, err := s.patiently("INFO")
		if err != nil {
			return err
		}
		if v.Err() != nil {
			return fmt.Errorf("ERROR: %s", v.Str)
		}
		if i%headEvery == 0 {
			s.printf("------- data ------ --------------------- load -------------------- - child -\n" +
				"keys       mem      clients blocked requests            connections          \n")
		}
		info := infoFields(string(v.Str))
		requests := info["total_commands_processed"]
		if before == 0 {
			before = requests
		}
		s.printf("%-11d%-8s %-8d%-8d%-19s %-12d%s\n",
			info["keys"], bytesToHuman(info["used_memory"]), info["connected_clients"], info["blocked_clients"],
			fmt.Sprintf("%d (+%d)", requests, requests-before), info["total_connections_received"], children(info))
		before = requests
		if err := s.out.Flush(); err != nil {
			return exit(1)
		}
		time.Sleep(interval)
	}
}

// infoFields is the numbers in the text of INFO, and under "keys" the number of
// keys in all databases.
func infoFields(text string) map[string]int64 {
	fields := map[string]int64{}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if keys, ok := strings.CutPrefix(value, "keys="); ok && strings.HasPrefix(name, "db") {
			number, _, _ := strings.Cut(keys, ",")
			n, _ := strconv.ParseInt(number, 10, 64)
			fields["keys"] += n
			continue
		}
		if n, err := strconv.ParseInt(value, 10, 64); err == nil {
			fields[name] = n
		}
	}
	return fields
}

// children says what else the server is doing.
func children(info map[string]int64) string {
	names := map[int64]string{1: "SAVE", 2: "AOF", 3: "SAVE+AOF", 4: "LOAD"}
	return names[info["rdb_bgsave_in_progress"]|info["aof_rewrite_in_progress"]<<1|info["loading"]<<2]
}

// bytesToHuman is like 1003B, 4.03K, 100.00M, 2.32G.
func bytesToHuman(n int64) string {
	if n < 1<<10 {
		return fmt.Sprintf("%dB", n)
	}
	value := float64(n)
	for _, unit := range []string{"K", "M", "G"} {
		if value /= 1 << 10; value < 1<<10 {
			return fmt.Sprintf("%.2f%s", value, unit)
		}
	}
	return fmt.Sprintf("%.2fT", value/(1<<10))
}
