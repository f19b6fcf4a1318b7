package aof

import (
	"errors"
	"math/rand/v2"
	"testing"

	"limpet/vfs"
)

// everyCut runs a scenario with the power cut before each of its changes, and
// for each looks at several disks that may be left. Some of those lose power
// again while they are being opened.
func everyCut(t *testing.T, dump ledger, prepare func(*vfs.Crash), scenario func(*store) error) {
	rng := seeded(t)
	n := 0
	for ; ; n++ {
		disk := newDisk(t)
		prepare(disk)
		// What was there before counts as durable.
		s := &store{fs: disk, units: dump, durable: len(dump)}
		disk.StopBefore(n)
		err := scenario(s)
		if err != nil && !errors.Is(err, vfs.ErrPowerCut) {
			t.Fatalf("cut before change %d: %v", n, err)
		}
		if len(s.units) < len(dump) {
			s.units, s.durable = dump, len(dump) // cut before it was read
		}
		images := []*vfs.Crash{disk.LoseUnsynced(), disk.KeepAll()}
		for range rounds(8) {
			images = append(images, disk.CrashImage(rng), cutWhileOpening(disk.CrashImage(rng), dump, rng))
		}
		for i, image := range images {
			if err := s.verify(image, dump); err != nil {
				t.Fatalf("cut before change %d, disk %d: %v", n, i, err)
			}
		}
		if !disk.PowerIsOff() {
			break
		}
	}
	t.Logf("%d changes", n)
	if n < 5 {
		t.Errorf("the scenario makes only %d changes", n)
	}
}

func cutWhileOpening(disk *vfs.Crash, dump ledger, rng *rand.Rand) *vfs.Crash {
	disk.StopBefore(rng.IntN(20))
	s := &store{fs: disk}
	_ = s.open(dump)
	return disk.CrashImage(rng)
}

func empty(*vfs.Crash) {}

func TestStart_CrashAtEveryStep_KeepsTheDump(t *testing.T) {
	everyCut(t, ledger{"from", "the", "dump"}, empty, func(s *store) error { return s.open(s.units) })
}

func TestAppend_CrashAtEveryStep_KeepsWhatWasSyncedAndAPrefix(t *testing.T) {
	everyCut(t, nil, empty, func(s *store) error {
		return firstError(
			func() error { return s.open(nil) },
			func() error { return s.append(4) }, s.sync,
			func() error { return s.append(3) }, s.sync,
			func() error { return s.append(5) },
		)
	})
}

func TestRotate_CrashAtEveryStep_LeavesNoHole(t *testing.T) {
	everyCut(t, nil, empty, func(s *store) error {
		return firstError(
			func() error { return s.open(nil) },
			func() error { return s.append(4) }, s.rotate,
			func() error { return s.append(3) }, s.rotate, s.rotate,
			func() error { return s.append(2) },
		)
	})
}

func TestRewrite_CrashAtEveryStep_OldOrNewNeverNeither(t *testing.T) {
	everyCut(t, ledger{"dump"}, empty, func(s *store) error {
		return firstError(
			func() error { return s.open(s.units) },
			func() error { return s.append(4) },
			func() error { return s.rewrite(3) },
			s.sync,
			func() error { return s.append(2) },
			func() error { return s.rewrite(0) },
		)
	})
}

func TestHeal_CrashAtEveryStep_OldOrNewNeverNeither(t *testing.T) {
	everyCut(t, ledger{"dump"}, empty, func(s *store) error {
		return firstError(
			func() error { return s.open(s.units) },
			func() error { return s.append(4) }, s.rotate,
			func() error { return s.append(4) }, s.heal,
			func() error { return s.append(4) }, s.sync, s.heal,
		)
	})
}

func TestUpgrade_CrashAtEveryStep_KeepsTheSingleFile(t *testing.T) {
	before := &store{}
	var bytes []byte
	for n := range 5 {
		name, b := unit(n)
		before.units, bytes = append(before.units, name), append(bytes, b...)
	}
	prepare := func(disk *vfs.Crash) { put(t, disk, home+"/appendonly.aof", bytes) }
	everyCut(t, before.units, prepare, func(s *store) error {
		return firstError(
			func() error { return s.open(nil) },
			func() error { return s.append(2) }, s.sync,
			func() error { return s.rewrite(1) },
		)
	})
}

func TestCut_CrashAtEveryStep_KeepsTheTornBytesSomewhere(t *testing.T) {
	var log []byte
	var units ledger
	for n := range 4 {
		name, b := unit(n)
		units, log = append(units, name), append(log, b...)
	}
	_, torn := unit(5)
	torn = torn[:len(torn)-7]
	prepare := func(disk *vfs.Crash) {
		put(t, disk, inDir+"appendonly.aof.1.incr.aof", append(log, torn...))
		put(t, disk, manifestPath, []byte("file appendonly.aof.1.incr.aof seq 1 type i\n"))
	}
	everyCut(t, units, prepare, func(s *store) error { return s.open(nil) })

	for n := 0; ; n++ {
		disk := newDisk(t)
		prepare(disk)
		disk.StopBefore(n)
		_ = (&store{fs: disk}).open(nil)
		found := false
		for _, text := range snapshot(t, disk.LoseUnsynced(), home) {
			found = found || len(text) >= len(torn) && text[len(text)-len(torn):] == string(torn)
		}
		if !found {
			t.Fatalf("cut before change %d: the torn bytes are nowhere", n)
		}
		if !disk.PowerIsOff() {
			break
		}
	}
}

// TestEverything_RandomLives_NeverLoseADurableUnit mixes all operations, cuts the
// power anywhere, and goes on with what is left.
func TestEverything_RandomLives_NeverLoseADurableUnit(t *testing.T) {
	rng := seeded(t)
	dump := ledger{"dump"}
	for range rounds(120) {
		disk := newDisk(t)
		last := &store{units: dump, durable: len(dump)}
		for life := range 5 {
			s := &store{fs: disk}
			disk.StopBefore(rng.IntN(150))
			err := s.open(dump)
			if err != nil { // what it was going to find is still there
				s.units, s.durable = last.units, last.durable
			}
			for err == nil {
				switch rng.IntN(8) {
				case 0:
					err = s.rotate()
				case 1:
					err = s.rewrite(rng.IntN(3))
				case 2:
					err = s.heal()
				case 3, 4:
					err = s.sync()
				default:
					err = s.append(1 + rng.IntN(3))
				}
			}
			if !errors.Is(err, vfs.ErrPowerCut) {
				t.Fatalf("life %d: %v", life, err)
			}
			disk = disk.CrashImage(rng)
			if err := s.verify(disk.KeepAll(), dump); err != nil {
				t.Fatalf("life %d: %v", life, err)
			}
			last = s
		}
	}
}

func firstError(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}
