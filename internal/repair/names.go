package repair

import (
	"path/filepath"
	"slices"
	"strings"
	"time"

	"limpet/internal/check"
)

// live is the files of the log in the order of loading. Where the manifest does
// not tell, their names must, without a doubt.
func (p *Plan) live() ([]*check.File, error) {
	l := p.Log
	var orphans, others []*check.File
	for _, f := range l.Files {
		if f.Role != check.RoleOther {
			continue
		}
		if stray := slices.ContainsFunc(f.Problems, func(p check.Problem) bool { return p.Code == check.StrayFile }); stray {
			others = append(others, f)
		} else {
			orphans = append(orphans, f)
		}
	}
	lost := l.Manifest == "" && len(l.Live()) == 0 || l.Err != nil
	switch {
	case lost:
		return p.rebuild(append(orphans, others...))
	case len(orphans) > 0:
		return p.extend(orphans)
	}
	for _, f := range others {
		p.notef("%s is named by no manifest and stays behind", f.Name)
	}
	return l.Live(), nil
}

// rebuild takes all files there are: one base, and incrs without a gap.
func (p *Plan) rebuild(files []*check.File) ([]*check.File, error) {
	var base *check.File
	var incrs []*check.File
	for _, f := range files {
		if strings.HasSuffix(f.Name, ".incr.aof") {
			f.Role = check.RoleIncr
			incrs = append(incrs, f)
			continue
		}
		if base != nil {
			return nil, refusef("", "there is no manifest to tell whether %s or %s is the base", base.Name, f.Name)
		}
		base = f
		base.Role = check.RoleBase
	}
	if base == nil {
		return nil, refusef("", "no base among the files in %s, and no manifest to name one", p.Log.Dir)
	}
	sortBySeq(incrs)
	for i, f := range incrs {
		if i > 0 && f.Seq != incrs[i-1].Seq+1 {
			return nil, refusef("", "%s and %s: the files between them are missing, or were never there: only a manifest could tell", incrs[i-1].Name, f.Name)
		}
		if f.Size > 0 && f.ModTime.Before(base.Begun.Add(-time.Second)) {
			return nil, refusef("", "%s was last written %s, before the base %s was begun: it may be part of it already", f.Name, f.ModTime.UTC().Format(time.RFC3339), base.Name)
		}
	}
	live := append([]*check.File{base}, incrs...)
	live[len(live)-1].Last = true
	p.Rebuilt = "the names of " + namesOf(live)
	return live, nil
}

// extend puts incrs that are newer than the manifest behind those it names.
func (p *Plan) extend(orphans []*check.File) ([]*check.File, error) {
	sortBySeq(orphans)
	live := p.Log.Live()
	for _, f := range orphans {
		last := live[len(live)-1]
		if f.Role = check.RoleIncr; last.Role == check.RoleIncr && f.Seq != last.Seq+1 {
			return nil, refusef("", "the manifest does not name %s, and it does not follow %s: only the right manifest could tell what is missing", f.Name, last.Name)
		}
		last.Last = false
		live = append(live, f)
	}
	p.Rebuilt = "the manifest, and the names of " + namesOf(orphans)
	return live, nil
}

func sortBySeq(files []*check.File) {
	slices.SortFunc(files, func(a, b *check.File) int { return int(a.Seq - b.Seq) })
}

func namesOf(files []*check.File) string {
	var names []string
	for _, f := range files {
		names = append(names, f.Name)
	}
	return strings.Join(names, ", ")
}

// dir is the append-only directory as seen from the data directory.
func (p *Plan) dir() string {
	rel, err := filepath.Rel(p.From, p.Log.Dir)
	if err != nil {
		return "."
	}
	return rel
}

// manifestName is that of the log.
func (p *Plan) manifestName() string { return p.Log.Name + ".manifest" }
