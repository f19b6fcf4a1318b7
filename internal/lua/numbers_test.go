package lua

import (
	"bufio"
	"io"
	"net"
	"strconv"
	"testing"

	"limpet/internal/testredis"
	"limpet/resp"
)

// Random doubles are written by a real redis-server and by us, in each of the
// ways that a script has.
func TestNumbers_AreWrittenAsRedisWritesThem(t *testing.T) {
	const script = `
		local out = {}
		for i, packed in ipairs(ARGV) do
			local n = struct.unpack('<d', packed)
			out[#out + 1] = tostring(n)
			out[#out + 1] = n .. ''
			out[#out + 1] = table.concat({n, n}, ' ')
			out[#out + 1] = string.format('%g %e %f %.3g %.17g %10.2f %s', n, n, n, n, n, n, n)
			out[#out + 1] = n == n and n - n == 0 and cjson.encode(n) or 'none'
			out[#out + 1] = cmsgpack.pack(n)
			out[#out + 1] = tostring(tonumber(string.format('%.17g', n)) == n)
			out[#out + 1] = n
			out[#out + 1] = {double = n}
			out[#out + 1] = bit.tohex(n)
		end
		return out`
	numbers := randomNumbers(t, 2000)
	want := askRedis(t, append([]string{"EVAL", script, "0"}, numbers...))
	got := withArgs(New(), script, numbers...)
	if got == want {
		return
	}
	theirs, _, err := resp.Decode([]byte(want))
	ours, _, err2 := resp.Decode([]byte(got))
	if err != nil || err2 != nil || len(theirs.Elems) != len(ours.Elems) {
		t.Fatalf("replies of different shapes: %.300q %.300q", want, got)
	}
	for i, v := range theirs.Elems {
		if v.Text() != ours.Elems[i].Text() {
			t.Errorf("%q, item %d: redis %q, we %q", numbers[i/10], i%10, v.Text(), ours.Elems[i].Text())
		}
	}
}

// askRedis sends one command to a new server and gives the bytes of its reply.
func askRedis(t *testing.T, words []string) string {
	t.Helper()
	c, err := net.Dial("tcp", testredis.Start(t, testredis.Options{}).Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	request := resp.AppendArrayHeader(nil, len(words))
	for _, w := range words {
		request = resp.AppendBulk(request, []byte(w))
	}
	request = append(request, "*1\r\n$4\r\nQUIT\r\n"...)
	go func() { _, _ = c.Write(request) }()
	reply, err := io.ReadAll(bufio.NewReader(c))
	if err != nil || len(reply) < 5 {
		t.Fatal(strconv.Quote(string(reply)), err)
	}
	return string(reply[:len(reply)-len("+OK\r\n")])
}
