package glob

type text interface{ ~string | ~[]byte }

// Match says whether the whole of s matches the pattern.
func Match[P, S text](pattern P, s S) bool { return match(pattern, s, false) }

// MatchFold is Match without regard to the case of ASCII letters.
func MatchFold[P, S text](pattern P, s S) bool { return match(pattern, s, true) }

func match[P, S text](pattern P, s S, fold bool) bool {
	p, i := 0, 0
	star, from := -1, 0 // the pattern after the last star, and its next try in s
	for {
		switch {
		case i == len(s):
			// Redis looks for stars here only after it has taken a byte.
			for len(s) > 0 && p < len(pattern) && pattern[p] == '*' {
				p++
			}
			return p == len(pattern)
		case p < len(pattern) && pattern[p] == '*':
			for p < len(pattern) && pattern[p] == '*' {
				p++
			}
			if p == len(pattern) {
				return true
			}
			star, from = p, i
			continue
		case p < len(pattern):
			ok, next := matchByte(pattern, p, s[i], fold)
			if ok {
				p, i = next, i+1
				continue
			}
		}
		if star < 0 {
			return false
		}
		from++
		p, i = star, from
	}
}

// matchByte matches c with the element at pattern[p], which is not a star, and
// returns where the next element begins.
func matchByte[P text](pattern P, p int, c byte, fold bool) (ok bool, next int) {
	switch pattern[p] {
	case '?':
		return true, p + 1
	case '[':
		return matchClass(pattern, p+1, c, fold)
	case '\\':
		if p+1 < len(pattern) {
			p++
		}
	}
	return same(pattern[p], c, fold), p + 1
}

// matchClass is matchByte for the class whose inside begins at pattern[p].
func matchClass[P text](pattern P, p int, c byte, fold bool) (ok bool, next int) {
	not := p < len(pattern) && pattern[p] == '^'
	if not {
		p++
	}
	for p < len(pattern) {
		rest := pattern[p:]
		switch {
		case rest[0] == '\\' && len(rest) >= 2:
			ok = ok || rest[1] == c
			p += 2
		case rest[0] == ']':
			return ok != not, p + 1
		case len(rest) >= 3 && rest[1] == '-':
			ok = ok || within(rest[0], rest[2], c, fold)
			p += 3
		default:
			ok = ok || same(rest[0], c, fold)
			p++
		}
	}
	return ok != not, p
}

// within compares as Redis does where char is signed. The order of the ends
// is settled before their case is dropped, as there.
func within(lo, hi, c byte, fold bool) bool {
	if int8(lo) > int8(hi) {
		lo, hi = hi, lo
	}
	if fold {
		lo, hi, c = lower(lo), lower(hi), lower(c)
	}
	return int8(lo) <= int8(c) && int8(c) <= int8(hi)
}

func same(a, b byte, fold bool) bool {
	return a == b || fold && lower(a) == lower(b)
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
