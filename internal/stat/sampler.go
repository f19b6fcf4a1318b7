package stat

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"limpet/internal/info"
)

// settings that a Sample needs. Those that a server hides or does not know are
// left out of it.
var settings = []string{
	"appendfsync", "auto-aof-rewrite-percentage", "auto-aof-rewrite-min-size", "save",
	"stop-writes-on-bgsave-error", "maxmemory-policy", "dir", "appenddirname", "dbfilename",
}

// refusals are the errors that a server counts when it refuses a write.
var refusals = []string{"errorstat_MISCONF", "errorstat_OOM", "errorstat_READONLY", "errorstat_NOREPLICAS"}

// growthSpan is how far back the growth of the log is looked at.
const growthSpan = time.Minute

// Sampler looks at one server. It is for one goroutine.
type Sampler struct {
	client redis.UniversalClient
	store  string // its name
	now    func() time.Time

	run    string // of the server, by its run_id
	kinds  map[string]kind
	before *look
	growth []grown
	config map[string]string
}

// look is what is needed of the sample before.
type look struct {
	at              time.Time
	info            info.Info
	reads, writes   int64
	refused, delays int64
}

// grown is the size of the log at a moment.
type grown struct {
	at   time.Time
	size int64
}

// New makes a Sampler; store is what the server is called.
func New(client redis.UniversalClient, store string, now func() time.Time) *Sampler {
	return &Sampler{client: client, store: store, now: now}
}

// Take looks once. With an error the Sample says that there was no answer.
func (s *Sampler) Take(ctx context.Context) (Sample, error) {
	text, err := s.client.Info(ctx, "everything").Result()
	now := s.now()
	if err != nil {
		return Sample{Time: now.UTC(), Store: s.store, Error: Reason(err)}, err
	}
	i := info.Parse(text)
	if id := i.Text("run_id"); s.run != id || s.kinds == nil {
		s.run, s.before, s.growth = id, nil, nil
		s.kinds = kinds(ctx, s.client)
	}
	s.config = s.ask(ctx)
	return s.sample(i, now), nil
}

// Config is what the server said of a setting at the last look.
func (s *Sampler) Config(name string) string { return s.config[name] }

// ask asks for the settings: in one command, which servers before Redis 7 do not
// take, and else in one each.
func (s *Sampler) ask(ctx context.Context) map[string]string {
	args := []any{"config", "get"}
	for _, name := range settings {
		args = append(args, name)
	}
	all := redis.NewMapStringStringCmd(ctx, args...)
	if s.client.Process(ctx, all) == nil {
		return all.Val()
	}
	p := s.client.Pipeline()
	var answers []*redis.MapStringStringCmd
	for _, name := range settings {
		answers = append(answers, p.ConfigGet(ctx, name))
	}
	_, _ = p.Exec(ctx) // each answer has its own error; all have where it is not allowed
	config := map[string]string{}
	for _, a := range answers {
		maps.Copy(config, a.Val())
	}
	return config
}

// sample makes sense of an answer.
func (s *Sampler) sample(i info.Info, now time.Time) Sample {
	v := Sample{
		Time: now.UTC(), Store: s.store, Up: true,
		Server: i.Server(), Role: i.Text("role"), UptimeSeconds: i.Number("uptime_in_seconds"), Loading: i.Flag("loading"),
		Clients: i.Number("connected_clients"), MaxClients: i.Number("maxclients"), BlockedClients: i.Number("blocked_clients"),
		MemoryBytes: i.Number("used_memory"), MemoryPeakBytes: i.Number("used_memory_peak"), MemoryLimitBytes: i.Number("maxmemory"),
		OpsPerSecond: float64(i.Number("instantaneous_ops_per_sec")),
	}
	v.Keys, v.KeysWithTTL = i.Keys()
	s.log(&v, i, now)
	s.save(&v, i, now)
	s.rates(&v, i, now)
	replication(&v, i)
	v.RefusesBecause = s.refuses(v)
	v.RefusesWrites = v.RefusesBecause != ""
	return v
}

func (s *Sampler) log(v *Sample, i info.Info, now time.Time) {
	v.AOFEnabled, v.AOFSync = i.Flag("aof_enabled"), s.config["appendfsync"]
	v.AOFWriteOK = i.Text("aof_last_write_status") != "err"
	v.RewriteRunning, v.RewriteScheduled = i.Flag("aof_rewrite_in_progress"), i.Flag("aof_rewrite_scheduled")
	v.RewriteForSeconds, v.RewriteLastSeconds = i.Number("aof_current_rewrite_time_sec"), i.Number("aof_last_rewrite_time_sec")
	v.RewriteLastOK = i.Text("aof_last_bgrewrite_status") != "err"
	v.Rewrites, v.RewriteFailures = i.Number("aof_rewrites"), i.Number("aof_rewrites_consecutive_failures")
	if v.RewriteRunning || i.Flag("rdb_bgsave_in_progress") {
		v.ProgressPercent = progress(i)
	}
	if !v.AOFEnabled {
		v.AOFSync = ""
		return
	}
	v.AOFBytes, v.AOFBaseBytes = i.Number("aof_current_size"), i.Number("aof_base_size")
	v.AOFGrowthBytes = v.AOFBytes - v.AOFBaseBytes
	if v.AOFBaseBytes > 0 {
		percent := round(100 * float64(v.AOFGrowthBytes) / float64(v.AOFBaseBytes))
		v.AOFGrowthPercent = &percent
	}
	v.AOFBufferBytes, v.SyncPending, v.SyncsDelayed = i.Number("aof_buffer_length"), i.Number("aof_pending_bio_fsync") > 0, i.Number("aof_delayed_fsync")
	v.AOFGrowthPerSecond = s.grow(now, v.AOFBytes)
	s.trigger(v)
}

// progress is how far a save or rewrite is, in per cent of the keys.
func progress(i info.Info) *float64 {
	if total := i.Number("current_save_keys_total"); total > 0 {
		p := round(min(100, 100*float64(i.Number("current_save_keys_processed"))/float64(total)))
		return &p
	}
	return nil
}

// grow answers bytes a second over the last minute; nil when that is not known.
func (s *Sampler) grow(now time.Time, size int64) *float64 {
	if n := len(s.growth); n > 0 && size < s.growth[n-1].size {
		s.growth = nil // rewritten
	}
	s.growth = append(s.growth, grown{now, size})
	for len(s.growth) > 2 && now.Sub(s.growth[1].at) >= growthSpan {
		s.growth = s.growth[1:]
	}
	return perSecond(size-s.growth[0].size, now.Sub(s.growth[0].at))
}

// trigger tells when the log will be rewritten by itself: by Redis's rule, when it
// is larger than a floor and has grown by so many per cent.
func (s *Sampler) trigger(v *Sample) {
	percentage, err := strconv.ParseInt(s.config["auto-aof-rewrite-percentage"], 10, 64)
	floor, err2 := strconv.ParseInt(s.config["auto-aof-rewrite-min-size"], 10, 64)
	if err != nil || err2 != nil || percentage <= 0 {
		return
	}
	base := max(1, v.AOFBaseBytes)
	at := max(floor+1, base+base*percentage/100)
	v.RewriteAtBytes = &at
	if rate := v.AOFGrowthPerSecond; rate != nil && *rate >= 1 && !v.RewriteRunning {
		left := round(float64(max(0, at-v.AOFBytes)) / *rate)
		v.RewriteInSeconds = &left
	}
}

func (s *Sampler) save(v *Sample, i info.Info, now time.Time) {
	v.SaveRunning, v.SaveForSeconds = i.Flag("rdb_bgsave_in_progress"), i.Number("rdb_current_bgsave_time_sec")
	v.SaveLastOK, v.SaveLastSeconds = i.Text("rdb_last_bgsave_status") != "err", i.Number("rdb_last_bgsave_time_sec")
	v.Saves, v.ChangesSinceSave = i.Number("rdb_saves"), i.Number("rdb_changes_since_last_save")
	if at := i.Number("rdb_last_save_time"); at > 0 {
		v.SaveLastAgoSeconds = round(max(0, now.Sub(time.Unix(at, 0)).Seconds()))
	}
	if points, told := s.config["save"]; told {
		v.SavePoints = &points
	}
}

// rates compares with the look before.
func (s *Sampler) rates(v *Sample, i info.Info, now time.Time) {
	l := &look{at: now, info: i, delays: v.SyncsDelayed}
	for _, name := range i.Section("commandstats") {
		calls := callsOf(i.Text(name))
		switch s.kinds[strings.TrimPrefix(name, "cmdstat_")] {
		case read:
			l.reads += calls
		case write:
			l.writes += calls
		}
	}
	for _, name := range refusals {
		if _, count, ok := strings.Cut(i.Text(name), "count="); ok {
			n, _ := strconv.ParseInt(count, 10, 64)
			l.refused += n
		}
	}
	before := s.before
	s.before = l
	if before == nil {
		return
	}
	took := now.Sub(before.at)
	since := func(field string) *float64 {
		return perSecond(i.Number(field)-before.info.Number(field), took)
	}
	if ops := since("total_commands_processed"); ops != nil {
		v.OpsPerSecond = *ops
	}
	if len(s.kinds) > 0 {
		v.ReadsPerSecond, v.WritesPerSecond = perSecond(l.reads-before.reads, took), perSecond(l.writes-before.writes, took)
	}
	if !i.Ours() { // which counts no errors
		v.RefusedPerSecond = perSecond(l.refused-before.refused, took)
	}
	v.ExpiredPerSecond, v.EvictedPerSecond = since("expired_keys"), since("evicted_keys")
	lately := v.SyncsDelayed - before.delays
	v.SyncsDelayedLately = &lately
}

// callsOf reads "calls=12,usec=…".
func callsOf(value string) int64 {
	first, _, _ := strings.Cut(value, ",")
	n, _ := strconv.ParseInt(strings.TrimPrefix(first, "calls="), 10, 64)
	return n
}

// perSecond is nil where no time has passed, or a counter was set back.
func perSecond(n int64, took time.Duration) *float64 {
	if took <= 0 || n < 0 {
		return nil
	}
	rate := round(float64(n) / took.Seconds())
	return &rate
}

func round(v float64) float64 { return math.Round(100*v) / 100 }

func replication(v *Sample, i info.Info) {
	v.Replicas = i.Number("connected_slaves")
	if v.Role != "slave" {
		return
	}
	v.Role = "replica"
	v.Master = i.Text("master_host") + ":" + i.Text("master_port")
	up := i.Text("master_link_status") == "up"
	v.MasterLinkUp = &up
	if ago, ok := i.Int("master_last_io_seconds_ago"); ok && ago >= 0 {
		v.MasterLastIOSeconds = &ago
	}
}

// refuses says why writes are refused now, "" when they are not, as far as INFO
// and the settings tell.
func (s *Sampler) refuses(v Sample) string {
	switch {
	case v.AOFEnabled && !v.AOFWriteOK:
		return "the last write to the log failed"
	case !v.SaveLastOK && s.config["stop-writes-on-bgsave-error"] == "yes" && s.config["save"] != "":
		return "the last save failed, and stop-writes-on-bgsave-error is on"
	case v.MemoryLimitBytes > 0 && v.MemoryBytes > v.MemoryLimitBytes && s.config["maxmemory-policy"] == "noeviction":
		return "the memory limit is reached, and maxmemory-policy is noeviction"
	}
	return ""
}

// Reason words why there is no answer.
func Reason(err error) string {
	var network interface{ Timeout() bool }
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return "no answer in time"
	}
	text := err.Error()
	for _, errno := range []string{"connection refused", "no route to host", "connection reset by peer", "broken pipe", "no such host", "no such file or directory"} {
		if strings.Contains(text, errno) {
			return errno
		}
	}
	if text == "EOF" {
		return "the connection was closed"
	}
	return fmt.Sprint(text)
}
