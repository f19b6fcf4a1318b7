package check

import (
	"testing"

	"limpet/internal/testredis"
)

func TestKnownCommand_KnowsWhatARealServerKnows(t *testing.T) {
	s := testredis.Start(t, testredis.Options{})
	for _, name := range s.Do("COMMAND", "LIST").([]any) {
		if !KnownCommand([]byte(name.(string))) {
			t.Errorf("%s is not known", name)
		}
	}
	for name, want := range map[string]bool{"SeT": true, "hpexpireat": true, "JSON.SET": true, "SES": false, "S\x05T": false, "": false, ".set": false} {
		if KnownCommand([]byte(name)) != want {
			t.Errorf("%q: known %v", name, !want)
		}
	}
}
