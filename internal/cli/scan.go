package cli

import (
	"fmt"
	"strconv"
	"time"

	"limpet/resp"
)

// scan lists all keys, one a line.
func (s *session) scan() error {
	return s.eachPage(func(keys []resp.Value) error {
		for _, key := range keys {
			if s.o.form == formTerminal {
				s.printf("%s\n", repr(key.Str))
			} else {
				s.printf("%s\n", key.Str)
			}
		}
		_ = s.out.Flush()
		time.Sleep(s.o.interval)
		return nil
	})
}

// eachPage walks over the keys with SCAN.
func (s *session) eachPage(yield func(keys []resp.Value) error) error {
	for cursor := "0"; ; {
		args := []string{"SCAN", cursor}
		if s.o.pattern != "" {
			args = append(args, "MATCH", s.o.pattern)
		}
		if s.o.count != 0 {
			args = append(args, "COUNT", strconv.Itoa(s.o.count))
		}
		v, err := s.ask(args...)
		switch {
		case err != nil:
			return exit(1)
		case v.Err() != nil:
			return fmt.Errorf("SCAN error: %s", v.Str)
		case len(v.Elems) != 2:
			return complainf("Invalid element count from SCAN!")
		}
		if err := yield(v.Elems[1].Elems); err != nil {
			return err
		}
		if cursor = string(v.Elems[0].Str); cursor == "0" {
			return nil
		}
	}
}
