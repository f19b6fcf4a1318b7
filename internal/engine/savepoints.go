package engine

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"limpet/resp"
)

// SavePoint asks for a BGSAVE once more than After has passed since the last
// save and at least Changes keys have changed since. A save point of no changes
// saves all the time.
type SavePoint struct {
	After   time.Duration // whole seconds, one at least
	Changes int64
}

// errSavePoints is Redis's word for save points that cannot be read.
const errSavePoints = resp.ServerError("Invalid save parameters")

// ParseSavePoints reads the value of the setting save, seconds and changes in
// turn: "3600 1 300 100". Nothing at all is no save points.
func ParseSavePoints(text string) ([]SavePoint, error) {
	if text == "" {
		return nil, nil
	}
	words := strings.Split(text, " ")
	if len(words)%2 != 0 {
		return nil, errSavePoints
	}
	var points []SavePoint
	for i := 0; i < len(words); i += 2 {
		seconds, err := strconv.ParseInt(words[i], 10, 64)
		changes, err2 := strconv.ParseInt(words[i+1], 10, 64)
		if err != nil || err2 != nil || seconds < 1 || seconds > maxSaveSeconds || changes < 0 {
			return nil, errSavePoints
		}
		points = append(points, SavePoint{time.Duration(seconds) * time.Second, changes})
	}
	return points, nil
}

const maxSaveSeconds = math.MaxInt64 / int64(time.Second) // 292 years

func formatSavePoints(points []SavePoint) string {
	var words []string
	for _, p := range points {
		words = append(words, fmt.Sprintf("%d %d", int64(p.After/time.Second), p.Changes))
	}
	return strings.Join(words, " ")
}

func setSavePoints(e *Engine, v string) error {
	points, err := ParseSavePoints(v)
	if err == nil {
		e.options.SavePoints = points
	}
	return err
}

// saveRetry is how long automatic saves wait after one that failed.
const saveRetry = 5 * time.Second

// saveDue tells whether a save point has been reached. e.mu is held.
//
// FLUSHALL is not one: where Redis at once overwrites dump.rdb with nothing, the
// file stays what it was until the next save point, since it is what a careless
// FLUSHALL is taken back with.
func (e *Engine) saveDue(now time.Time) bool {
	if !e.mayRetrySave(now) {
		return false
	}
	passed := now.Sub(e.saves.lastSave)
	for _, p := range e.options.SavePoints {
		if e.unit.Changes >= p.Changes && passed > p.After {
			e.logger.Info("a save point is reached", "changes", e.unit.Changes, "seconds", int64(passed.Seconds()))
			return true
		}
	}
	return false
}

func (e *Engine) mayRetrySave(now time.Time) bool {
	return e.saves.save.lastErr == nil || now.Sub(e.saves.lastTry) > saveRetry
}

// misconfSave is the wire error for writes that dump.rdb would not get.
const misconfSave = "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. " +
	"Commands that may modify the data set are disabled, because this instance is configured to report errors during writes " +
	"if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs for details about the RDB error."

// savesFail tells whether writes are to be refused because of failed saves. e.mu
// is held.
func (e *Engine) savesFail() bool {
	return e.saves.save.lastErr != nil && len(e.options.SavePoints) > 0 && !e.options.IgnoreSaveErrors
}

// saveAtShutdown writes dump.rdb for SHUTDOWN. A save or a rewrite under way is
// given up: it would be older. e.mu is held.
func (e *Engine) saveAtShutdown() error {
	e.abortDump(errCancelled)
	return e.saveNow()
}

// saveAtClose writes dump.rdb where there are save points, unless SHUTDOWN has
// just done so or was told not to.
func (e *Engine) saveAtClose() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.options.SavePoints) == 0 || e.noFinalSave || e.shutDown && e.saves.savedSeq == e.seq {
		return nil
	}
	return e.saveNow()
}
