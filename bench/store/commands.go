package main

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
)

// What redis-benchmark sends; __rand_int__ is one of randomKeys numbers.
var commands = []struct {
	name  string
	reads bool // the policy of syncing makes no difference
	args  []string
}{
	{"SET", false, []string{"SET", "key:__rand_int__", "value-__rand_int__"}},
	{"GET", true, []string{"GET", "key:__rand_int__"}},
	{"INCR", false, []string{"INCR", "counter:__rand_int__"}},
	{"LPUSH", false, []string{"LPUSH", "list:__rand_int__", "element"}},
	{"HSET", false, []string{"HSET", "hash:__rand_int__", "field:__rand_int__", "value"}},
	{"ZADD", false, []string{"ZADD", "zset:__rand_int__", "1.5", "member:__rand_int__"}},
	{"script", false, []string{"EVALSHA", "", "3", "seed", "leases", "pages", "page:__rand_int__", "crawled"}},
}

// completeScript is what the crawl's tracking does when a page is done: look at
// its state, change it, count it, give the lease back, and note the moment.
const completeScript = `
local state = redis.call('HGET', KEYS[3], ARGV[1])
if state == ARGV[2] then
  redis.call('HINCRBY', KEYS[1], 'again', 1)
  return 0
end
redis.call('HSET', KEYS[3], ARGV[1], ARGV[2])
redis.call('HINCRBY', KEYS[1], ARGV[2], 1)
redis.call('ZREM', KEYS[2], ARGV[1])
return 1`

const (
	randomKeys  = 100_000
	connections = 50
)

// commands measures throughput, the 99th percentile of latency, and what a request
// costs the server in processor time: the last is what a busy machine changes
// least.
func (b *bench) commands() error {
	for _, policy := range []string{"everysec", "no", "always"} {
		title(fmt.Sprintf("### Commands, `appendfsync %s`, %d connections", policy, connections),
			"command", "pipeline", "redis, 1/s", "limpet, 1/s", "ratio (rounds)", "redis p99, ms", "limpet p99, ms", "redis CPU, µs", "limpet CPU, µs")
		if err := b.policy(policy); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) policy(policy string) error {
	var servers []*process
	for _, name := range names {
		p, err := b.start(name, filepath.Join(b.dir, policy+"-"+name), policy)
		if err != nil {
			return err
		}
		defer p.stop()
		servers = append(servers, p)
	}
	for _, pipeline := range []int{1, 16} {
		for _, c := range commands {
			if c.reads && policy != "everysec" {
				continue
			}
			rate, p99, cpu, err := b.compare(servers, c.args, pipeline)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			row(fmt.Sprintf("%s | %d", c.name, pipeline), rate, "%.0f",
				fmt.Sprintf("%.2f", median(p99.redis)), fmt.Sprintf("%.2f", median(p99.limpet)),
				fmt.Sprintf("%.2f", median(cpu.redis)), fmt.Sprintf("%.2f", median(cpu.limpet)))
		}
	}
	return nil
}

// compare runs one command on both servers in turn.
func (b *bench) compare(servers []*process, args []string, pipeline int) (rate, p99, cpu pair, err error) {
	for range b.rounds {
		for _, p := range servers {
			f, err := b.load(p, args, pipeline)
			if err != nil {
				return rate, p99, cpu, fmt.Errorf("%s: %w", p.name, err)
			}
			rate.add(p.name, f.rate)
			p99.add(p.name, f.p99)
			cpu.add(p.name, f.cpu)
		}
	}
	return rate, p99, cpu, nil
}

// figures are what one run of redis-benchmark found.
type figures struct {
	rate float64 // requests a second
	p99  float64 // of the latency, ms
	cpu  float64 // of the server, µs a request
}

// load has redis-benchmark send one command.
func (b *bench) load(p *process, args []string, pipeline int) (f figures, err error) {
	if args[0] == "EVALSHA" {
		if args, err = p.withScript(args); err != nil {
			return f, err
		}
	}
	requests := b.requests
	if pipeline > 1 {
		requests *= 8
	}
	cmd := exec.CommandContext(b.ctx, "redis-benchmark", append([]string{
		"-p", strconv.Itoa(p.port), "-c", strconv.Itoa(connections), "-n", strconv.Itoa(requests),
		"-P", strconv.Itoa(pipeline), "-r", strconv.Itoa(randomKeys), "--csv"}, args...)...)
	used := p.cpu()
	out, err := cmd.Output()
	if err != nil {
		return f, fmt.Errorf("redis-benchmark: %w", err)
	}
	f.cpu = (p.cpu() - used) / float64(requests) * 1e6
	f.rate, f.p99, err = parseCSV(out)
	return f, err
}

// withScript loads the script and fills in its name.
func (p *process) withScript(args []string) ([]string, error) {
	c, err := p.dial()
	if err != nil {
		return nil, err
	}
	defer c.close()
	v, err := c.do("SCRIPT", "LOAD", completeScript)
	if err := firstError(err, v.Err()); err != nil {
		return nil, err
	}
	return append([]string{args[0], string(v.Str)}, args[2:]...), nil
}

// parseCSV reads "test","rps","avg_latency_ms","min","p50","p95","p99","max",
// which is preceded by a heading, and by warnings.
func parseCSV(out []byte) (rate, p99 float64, err error) {
	lines := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
	fields, err := csv.NewReader(bytes.NewReader(lines[len(lines)-1])).Read()
	if err != nil || len(fields) < 8 {
		return 0, 0, fmt.Errorf("redis-benchmark said %q", out)
	}
	n := len(fields)
	if rate, err = strconv.ParseFloat(fields[n-7], 64); err != nil {
		return 0, 0, err
	}
	p99, err = strconv.ParseFloat(fields[n-2], 64)
	return rate, p99, err
}
