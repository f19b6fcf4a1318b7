package backup

import (
	"context"
	"errors"
	"slices"
	"strings"

	"limpet/internal/target"
)

// Latest is what a monitor wants to know of a catalogue.
type Latest struct {
	Backups int    // in the catalogue
	Newest  *Entry // nil when there is none
	// Checked is the newest proof of any backup, and Verified the newest one that
	// found nothing wrong; nil when there is none.
	Checked, Verified *Proof
}

// badProofs is how many proofs are read in search of a good one.
const badProofs = 16

// ReadLatest asks a target how its backups fare. Ids and proofs are named by
// their times, so that this is one listing and as a rule two small objects,
// however many backups there are.
func ReadLatest(ctx context.Context, s *target.Store) (*Latest, error) {
	found, err := s.List(ctx, catalogue)
	if err != nil {
		return nil, err
	}
	var entries, proofs []string // keys, oldest first
	for _, o := range found {
		_, name, _ := strings.Cut(strings.TrimPrefix(o.Key, catalogue), "/")
		switch {
		case "/"+name == entryName:
			entries = append(entries, o.Key)
		case strings.HasPrefix("/"+name, proofPrefix):
			proofs = append(proofs, o.Key)
		}
	}
	l := &Latest{Backups: len(entries)}
	slices.SortFunc(proofs, func(a, b string) int { return strings.Compare(proofTime(a), proofTime(b)) })
	for _, key := range slices.Backward(entries) {
		e := &Entry{}
		if err := readJSON(ctx, s, key, e); err == nil {
			l.Newest = e
			break
		} else if !errors.Is(err, target.ErrNotFound) { // else it was deleted just now
			return nil, err
		}
	}
	for _, key := range slices.Backward(proofs[max(0, len(proofs)-badProofs):]) {
		p := &Proof{}
		if err := readJSON(ctx, s, key, p); errors.Is(err, target.ErrNotFound) {
			continue
		} else if err != nil {
			return nil, err
		}
		if l.Checked == nil {
			l.Checked = p
		}
		if p.OK {
			l.Verified = p
			break
		}
	}
	return l, nil
}

// proofTime is the part of a proof's key that sorts by time.
func proofTime(key string) string { return key[strings.LastIndex(key, proofPrefix)+len(proofPrefix):] }
