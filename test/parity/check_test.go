package parity

import (
	"bytes"
	"fmt"
	"slices"

	"limpet/resp"
)

// clockSlack is by how many seconds the two servers' clocks, or the moments at
// which they are asked, may lie apart.
const clockSlack = 5

// check compares two replies as the request's mark says, 0 for byte by byte; the
// answer is nil when they are the same. The marks are those of the package
// comment; random requests have four more, which take several requests to judge
// and are [round.special]'s.
func check(mark byte, real, ours []byte) error {
	same := bytes.Equal(real, ours)
	if !same && len(real) > 0 && len(ours) > 0 {
		switch mark {
		case '!':
			same = true
		case '?':
			same = real[0] == ours[0]
		case '~':
			same = sameElements(real, ours, 1)
		case '%':
			same = sameElements(real, ours, 2)
		case 't':
			same = closeIntegers(real, ours, clockSlack)
		case 'p':
			same = closeIntegers(real, ours, clockSlack*1000)
		}
	}
	if !same {
		return fmt.Errorf("\n  redis:  %.400q\n  limpet: %.400q", real, ours)
	}
	return nil
}

func closeIntegers(real, ours []byte, slack int64) bool {
	a, _, errA := resp.Decode(real)
	b, _, errB := resp.Decode(ours)
	if errA != nil || errB != nil || a.Kind != resp.Integer || b.Kind != resp.Integer || a.Int < 0 || b.Int < 0 {
		return false
	}
	return max(a.Int-b.Int, b.Int-a.Int) <= slack
}

// sameElements compares two aggregates as multisets of groups of n elements.
func sameElements(real, ours []byte, n int) bool {
	headA, a := elements(real)
	headB, b := elements(ours)
	if len(a) == 2 && len(b) == 2 && bytes.Equal(a[0], b[0]) && a[1][0] == '*' && b[1][0] == '*' {
		return sameElements(a[1], b[1], 1) // a cursor and what it found
	}
	if !bytes.Equal(headA, headB) || len(a) != len(b) || len(a)%n != 0 {
		return false
	}
	return slices.EqualFunc(sortedGroups(a, n), sortedGroups(b, n), bytes.Equal)
}

func sortedGroups(elems [][]byte, n int) (groups [][]byte) {
	for g := range slices.Chunk(elems, n) {
		groups = append(groups, bytes.Join(g, nil))
	}
	slices.SortFunc(groups, bytes.Compare)
	return groups
}

// elements takes an aggregate apart into its header line and the bytes of each
// element. Anything else is all header.
func elements(reply []byte) (head []byte, elems [][]byte) {
	v, _, err := resp.Decode(reply)
	if err != nil || v.Elems == nil {
		return reply, nil
	}
	end := bytes.IndexByte(reply, '\n') + 1
	head, reply = reply[:end], reply[end:]
	for range v.Elems {
		_, n, err := resp.Decode(reply)
		if err != nil {
			return head, elems
		}
		elems, reply = append(elems, reply[:n]), reply[n:]
	}
	return head, elems
}

// texts are the elements of an aggregate as text, nested ones flattened.
func texts(reply []byte) (all []string) {
	v, _, err := resp.Decode(reply)
	if err != nil {
		return nil
	}
	for _, e := range flatten(v) {
		all = append(all, e.Text())
	}
	return all
}

func flatten(v resp.Value) []resp.Value {
	if v.Elems == nil {
		if v.Kind == resp.ArrayReply || v.Kind == resp.SetReply || v.Kind == resp.MapReply {
			return nil
		}
		return []resp.Value{v}
	}
	var all []resp.Value
	for _, e := range v.Elems {
		all = append(all, flatten(e)...)
	}
	return all
}
