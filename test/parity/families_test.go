package parity

// families are the random requests, by family. The mark before a template says
// how its reply is compared: see [check].
var families = map[string][]template{
	"strings": parseTemplates(`
		SET {s} {v}
		SET {s} {v} [NX|XX|] [GET|] [EX {sec}|PX {ms}|EXAT {at}|PXAT {atms}|KEEPTTL|EX|FOO||]
		SET {s} {n}
		SET {s} {pd}
		GET {s}
		GET {s}
		SETNX {s} {v}
		SETEX {s} {sec} {v}
		PSETEX {s} {ms} {v}
		GETSET {s} {v}
		GETDEL {s}
		GETEX {s} [EX {sec}|PX {ms}|EXAT {at}|PXAT {atms}|PERSIST||EX|FOO 1]
		MGET {s}+
		MSET ({s} {v})+
		MSETNX ({s} {v})+
		APPEND {s} {v}
		STRLEN {s}
		SETRANGE {s} [{c}|100|-1|536870912|9223372036854775807|abc] {v}
		GETRANGE {s} {i} {i}
		GETRANGE {s} {n} {n}
		SUBSTR {s} {i} {i}
		INCR {s}
		DECR {s}
		INCRBY {s} {n}
		DECRBY {s} {n}
		INCRBYFLOAT {s} {pd}
		INCRBYFLOAT {s} {d}
		LCS {s} {s} [LEN|IDX|IDX WITHMATCHLEN|IDX MINMATCHLEN {c}|IDX LEN|FOO|]
	`),
	"keys": parseTemplates(`
		DEL {k}+
		UNLINK {k}+
		EXISTS {k}+
		TOUCH {k}+
		TYPE {k}
		EXPIRE {k} {sec} [NX|XX|GT|LT|XX GT|NX XX|GT LT|FOO||]
		PEXPIRE {k} {ms} [NX|XX|GT|LT|]
		EXPIREAT {k} {at} [NX|XX|GT|LT|lt xx|]
		PEXPIREAT {k} {atms} [NX|XX|GT|LT|]
		t TTL {k}
		p PTTL {k}
		t EXPIRETIME {k}
		p PEXPIRETIME {k}
		PERSIST {k}
		~ KEYS {pat}
		~ KEYS [s*|h*|l*|t*|z*|x*]
		RENAME {k} {k}
		RENAMENX {k} {k}
		? DBSIZE
		s SCAN 0 [COUNT {c}|MATCH {pat}|TYPE list|TYPE nosuch|]
		w PEXPIREAT {k} now
		SELECT [0|0|0|1|2|16|-1|abc]
		SELECT 0
		FLUSHDB [FOO|FOO|FOO|FOO|FOO|ASYNC|SYNC|]
	`),
	"hashes": parseTemplates(`
		HSET {h} ({f} {v})+
		HSET {h} ({f} {v})+
		HSET {h} {f} {n}
		HMSET {h} ({f} {v})+
		HSETNX {h} {f} {v}
		HGET {h} {f}
		HMGET {h} {f}+
		HDEL {h} {f}+
		HLEN {h}
		HSTRLEN {h} {f}
		HEXISTS {h} {f}
		~ HKEYS {h}
		~ HVALS {h}
		% HGETALL {h}
		HINCRBY {h} {f} {n}
		HINCRBYFLOAT {h} {f} {pd}
		HINCRBYFLOAT {h} {f} {d}
		r HRANDFIELD {h} [{i}||2 WITHVALUES|-3 WITHVALUES|1 FOO|0|-9223372036854775808|9223372036854775807]
		s HSCAN {h} 0 [COUNT {c}|MATCH {pat}|TYPE hash|]
	`),
	"lists": parseTemplates(`
		LPUSH {l} {v}+
		RPUSH {l} {v}+
		RPUSH {l} {f}+
		LPUSHX {l} {v}+
		RPUSHX {l} {v}+
		LPOP {l} [{c}||-1|{n}]
		RPOP {l} [{c}||-1|{n}]
		LLEN {l}
		LINDEX {l} {i}
		LINDEX {l} {n}
		LSET {l} {i} {v}
		LRANGE {l} {i} {i}
		LRANGE {l} 0 -1
		LRANGE {l} {n} {n}
		LTRIM {l} {i} {i}
		LREM {l} {i} {f}
		LINSERT {l} [BEFORE|AFTER|after|FOO] {f} {v}
		LPOS {l} {f} [RANK {i}|COUNT {c}|RANK {i} COUNT {c}|MAXLEN {c}|RANK -1 MAXLEN {c}|COUNT -1|MAXLEN -1|]
		LMOVE {l} {l} [LEFT|RIGHT|left|FOO] [LEFT|RIGHT]
		RPOPLPUSH {l} {l}
		LMPOP [1 {l}|2 {l} {l}|0 {l}|-1 {l}|3 {l} {l}] [LEFT|RIGHT|FOO] [COUNT {c}|COUNT 1 COUNT 1|COUNT|]
	`),
	"sets": parseTemplates(`
		SADD {t} {f}+
		SADD {t} {f}+
		SADD {t} {v}+
		SADD {t} {n}+
		SREM {t} {f}+
		SCARD {t}
		SISMEMBER {t} {f}
		SMISMEMBER {t} {f}+
		~ SMEMBERS {t}
		SMOVE {t} {t} {f}
		o SPOP {t} [{c}||-1|abc]
		r SRANDMEMBER {t} [{i}||-9223372036854775808|abc]
		~ SINTER {t}+
		~ SUNION {t}+
		~ SDIFF {t}+
		SINTERSTORE {t} {t}+
		SUNIONSTORE {t} {t}+
		SDIFFSTORE {t} {t}+
		SINTERCARD [1 {t}|2 {t} {t}|0 {t}|3 {t} {t}] [LIMIT {c}|LIMIT -1|FOO|]
		s SSCAN {t} 0 [COUNT {c}|MATCH {pat}|]
	`),
	"zsets": parseTemplates(`
		ZADD {z} ({d} {f})+
		ZADD {z} ({pd} {f})+
		ZADD {z} [NX|XX|GT|LT|NX GT|CH|XX GT CH|LT CH||NX XX] ({pd} {f})+
		ZADD {z} [NX|XX|GT|LT|CH|] INCR {d} {f}
		ZINCRBY {z} {d} {f}
		ZREM {z} {f}+
		ZCARD {z}
		ZSCORE {z} {f}
		ZMSCORE {z} {f}+
		ZRANK {z} {f}
		ZREVRANK {z} {f}
		ZCOUNT {z} [{d}|{od}] [{d}|{od}]
		ZADD {y} ([0|-0|0.0] {f})+
		ZLEXCOUNT {y} {lex} {lex}
		ZRANGE {z} {i} {i} [REV|WITHSCORES|REV WITHSCORES|LIMIT 0 1|]
		ZRANGE {z} 0 -1 WITHSCORES
		ZRANGE {z} [{d}|{od}] [{d}|{od}] BYSCORE [LIMIT {i} {i}|WITHSCORES|REV|]
		ZRANGE {y} {lex} {lex} BYLEX [LIMIT {i} {i}|REV|WITHSCORES|]
		ZREVRANGE {z} {i} {i} [WITHSCORES|]
		ZRANGEBYSCORE {z} [-inf|{d}|{od}] [+inf|{d}|{od}] [WITHSCORES|LIMIT {i} {i}|WITHSCORES LIMIT {c} {i}|]
		ZREVRANGEBYSCORE {z} [+inf|{d}|{od}] [-inf|{d}|{od}] [WITHSCORES|LIMIT {i} {i}|]
		ZRANGEBYLEX {y} {lex} {lex} [LIMIT {i} {i}|]
		ZREVRANGEBYLEX {y} {lex} {lex} [LIMIT {i} {i}|]
		ZRANGESTORE {z} {z} {i} {i} [REV|BYSCORE|BYSCORE LIMIT 0 2|REV BYSCORE|]
		ZREMRANGEBYRANK {z} {i} {i}
		ZREMRANGEBYSCORE {z} [{d}|{od}] [{d}|{od}]
		ZREMRANGEBYLEX {y} {lex} {lex}
		ZPOPMIN {z} [{c}||-1|abc]
		ZPOPMAX {z} [{c}||-1]
		ZMPOP [1 {z}|2 {z} {z}|0 {z}|3 {z} {z}] [MIN|MAX|FOO] [COUNT {c}|COUNT|]
		r ZRANDMEMBER {z} [{i}||2 WITHSCORES|-3 WITHSCORES|1 FOO|-9223372036854775808]
		s ZSCAN {z} 0 [COUNT {c}|MATCH {pat}|]
		ZUNION [2 {z} {z}|2 {z} {t}|1 {z}|0 {z}|3 {z} {z}] [WEIGHTS {d} {d}|WEIGHTS {pd} {pd} AGGREGATE MAX|AGGREGATE MIN|AGGREGATE FOO|] [WITHSCORES|]
		ZINTER [2 {z} {z}|2 {z} {t}|1 {z}] [WEIGHTS {d} {d}|AGGREGATE MIN|] [WITHSCORES|]
		ZDIFF [2 {z} {z}|2 {z} {t}|3 {z} {z} {z}] [WITHSCORES|]
		ZUNIONSTORE {z} [2 {z} {z}|2 {z} {t}|3 {z} {z} {z}] [WEIGHTS {d} {d}|AGGREGATE MAX|]
		ZINTERSTORE {z} [2 {z} {z}|2 {z} {t}] [WEIGHTS {pd} {d}|AGGREGATE SUM|]
		ZDIFFSTORE {z} [2 {z} {z}|2 {z} {t}]
		ZINTERCARD [2 {z} {z}|1 {z}|2 {z} {t}] [LIMIT {c}|LIMIT -1|]
	`),
	"streams": parseTemplates(`
		XADD {x} {id} ({f} {v})+
		XADD {x} {id} ({f} {v})+
		XADD {x} [NOMKSTREAM|MAXLEN {c}|MAXLEN = {c}|MAXLEN ~ {c}|MINID {rid}|MINID ~ {rid}|MAXLEN ~ 0 LIMIT {c}|MAXLEN 1 LIMIT 2|MAXLEN 1 MINID 1|] {id} ({f} {v})+
		XLEN {x}
		XRANGE {x} {rid} {rid} [COUNT {c}|COUNT -1|]
		XRANGE {x} - +
		XREVRANGE {x} {rid} {rid} [COUNT {c}|]
		XREAD [COUNT {c}|] STREAMS {x} [{rid}|$|0]
		XREAD STREAMS {x} {x} 0 {rid}
		XTRIM {x} [MAXLEN|MINID] [=|~|] {c} [LIMIT {c}||]
		XDEL {x} ([{rid}|1-1|2-0|3-5])+
		XSETID {x} [{rid}|100-100|200] [ENTRIESADDED {c}|MAXDELETEDID {rid}||]
	`),
	"scripts": parseTemplates(`
		EVAL "return redis.call('GET', KEYS[1])" 1 {k}
		EVAL "return redis.pcall('INCRBY', KEYS[1], ARGV[1])" 1 {k} {n}
		EVAL "local r = redis.pcall('INCR', KEYS[1]) if type(r) == 'table' then return r.err end return r" 1 {k}
		EVAL "redis.call('RPUSH', KEYS[1], unpack(ARGV)) return redis.call('LRANGE', KEYS[1], 0, -1)" 1 {l} {v}+
		EVAL "return {redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]), redis.call('HGET', KEYS[1], ARGV[1])}" 1 {h} {f} {v}
		EVAL "redis.call('ZADD', KEYS[1], ARGV[1], ARGV[2]) return redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')" 1 {z} {d} {f}
		EVAL "return redis.call('XADD', KEYS[1], ARGV[1], 'f', ARGV[2])" 1 {x} {id} {v}
		EVAL "return redis.call(unpack(ARGV))" 0 [SET {k} {v}|DEL {k}|EXISTS {k}|LPUSH {l} {v}|SADD {t} {f}|ZSCORE {z} {f}|TYPE {k}|NOSUCH|GET|EVAL x 0|MULTI|{v}]
		EVAL "return redis.pcall(unpack(ARGV))" 0 [SET {k} {v}|DEL {k}|HGET {k} {f}|LPOP {l}|GET]
		EVAL "return tonumber(ARGV[1])" 0 {d}
		EVAL "return {1, 2.7, ARGV[1], false, 'x'}" 0 {v}
		EVAL "return {1, nil, 3}" 0
		EVAL "return #KEYS + #ARGV" [0|1|2|-1|abc|{n}] {v}+
		EVAL "return cjson.encode({ARGV[1], ARGV[2]})" 0 {f} {n}
		EVAL "return redis.sha1hex(ARGV[1])" 0 {v}
		EVAL "return {redis.status_reply('a'), redis.status_reply('FINE')}" 0
		EVAL "return redis.error_reply('MY err')" 0
		EVAL "if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('DEL', KEYS[1]) return 'gone' end redis.call('SET', KEYS[1], ARGV[1]) return 'made'" 1 {k} {v}
		EVAL "for i = 1, 3 do redis.call('INCR', KEYS[1]) end return redis.call('GET', KEYS[1])" 1 {s}
		EVAL "redis.call('SET', KEYS[1], ARGV[1]) redis.call('SELECT', 1) redis.call('SET', KEYS[1], 'in db 1') return redis.call('GET', KEYS[1])" 1 {s} {v}
		EVAL_RO "return redis.call('GET', KEYS[1])" 1 {s}
		EVAL_RO "return redis.call('SET', KEYS[1], 'x')" 1 {s}
		EVALSHA ffffffffffffffffffffffffffffffffffffffff 0
	`),
}
