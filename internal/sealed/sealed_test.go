package sealed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"filippo.io/age"

	"limpet/internal/target"
	"limpet/vfs"
)

func pair(t *testing.T) Keys {
	t.Helper()
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	k, err := ParseIdentities(identity.String())
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func seal(t *testing.T, plain []byte, k Keys) []byte {
	t.Helper()
	r := Seal(bytes.NewReader(plain), k)
	b, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		t.Fatal(err)
	}
	return b
}

func unseal(sealed []byte, k Keys) ([]byte, error) { return drain(bytes.NewReader(sealed), k) }

func drain(src io.Reader, k Keys) ([]byte, error) {
	r, err := Reader(src, k)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(r)
	return b, errors.Join(err, r.Close())
}

// text is random lines of a log, which compress.
func text(n int) []byte {
	rnd := rand.New(rand.NewPCG(1, uint64(n)))
	var b []byte
	for len(b) < n {
		b = fmt.Appendf(b, "*3\r\n$3\r\nSET\r\n$8\r\n%08d\r\n$8\r\n%08d\r\n", rnd.IntN(1e6), rnd.IntN(1e6))
	}
	return b[:n]
}

func TestSeal_EverySize_IsOpenedAgain(t *testing.T) {
	locked := pair(t)
	for _, size := range []int{0, 1, 1000, 64 << 10, 64<<10 + 1, 3 << 20} {
		plain := text(size)
		for name, k := range map[string]Keys{"plain": {}, "encrypted": locked} {
			sealed := seal(t, plain, k)
			got, err := drain(iotest.OneByteReader(bytes.NewReader(sealed)), locked)
			if err != nil || !bytes.Equal(got, plain) {
				t.Errorf("%s, %d bytes: %d come back, %v", name, size, len(got), err)
			}
			if size > 1000 && len(sealed) > size*2/3 {
				t.Errorf("%s, %d bytes: not compressed: %d", name, size, len(sealed))
			}
			if name == "encrypted" && size == 1000 && bytes.Contains(sealed, []byte{0x28, 0xb5, 0x2f, 0xfd}) {
				t.Error("encrypted: a zstd frame lies open")
			}
		}
	}
}

func TestReader_CutAtEveryByte_IsNeverWhole(t *testing.T) {
	for name, k := range map[string]Keys{"plain": {}, "encrypted": pair(t)} {
		sealed := seal(t, text(2000), k)
		for n := range sealed {
			_, err := unseal(sealed[:n], k)
			if !errors.Is(err, ErrTruncated) && (name == "plain" || !errors.Is(err, ErrDamaged)) {
				t.Fatalf("%s: cut at byte %d of %d: %v", name, n, len(sealed), err)
			}
		}
	}
}

func TestReader_AnyByteChanged_IsNotTakenForTheTruth(t *testing.T) {
	plain := text(2000)
	for name, k := range map[string]Keys{"plain": {}, "encrypted": pair(t)} {
		sealed := seal(t, plain, k)
		for n := range sealed {
			bad := bytes.Clone(sealed)
			bad[n] ^= 0x10
			got, err := unseal(bad, k)
			if err == nil && !bytes.Equal(got, plain) {
				t.Fatalf("%s: byte %d changed: %d bytes and no error", name, n, len(got))
			}
			if err == nil && name == "encrypted" {
				t.Fatalf("encrypted: byte %d changed: nobody has noticed", n)
			}
		}
	}
}

func TestReader_Key_MissingAndWrongAreTold(t *testing.T) {
	right, wrong := pair(t), pair(t)
	sealed := seal(t, []byte("secret"), right)
	if _, err := unseal(sealed, Keys{}); !errors.Is(err, ErrNeedsKey) {
		t.Errorf("without a key: %v", err)
	}
	if _, err := unseal(sealed, wrong); !errors.Is(err, ErrWrongKey) {
		t.Errorf("with another key: %v", err)
	}
	both := Keys{Identities: append(wrong.Identities, right.Identities...)}
	if got, err := unseal(sealed, both); err != nil || string(got) != "secret" {
		t.Errorf("with both: %q, %v", got, err)
	}
}

func TestErrorsOfTheSource_ComeThroughAsTheyAre(t *testing.T) {
	failed := errors.New("the network is gone")
	for name, k := range map[string]Keys{"plain": {}, "encrypted": pair(t)} {
		r := Seal(io.MultiReader(bytes.NewReader(text(1<<20)), iotest.ErrReader(failed)), k)
		if _, err := io.ReadAll(r); !errors.Is(err, failed) {
			t.Errorf("%s: Seal: %v", name, err)
		}
		_ = r.Close()
		sealed := seal(t, text(1<<20), k)
		for _, n := range []int{0, 10, 100, 1000, len(sealed) / 2, len(sealed)} {
			_, err := drain(io.MultiReader(bytes.NewReader(sealed[:n]), iotest.ErrReader(failed)), k)
			if !errors.Is(err, failed) || errors.Is(err, ErrDamaged) || errors.Is(err, ErrTruncated) {
				t.Errorf("%s: after %d bytes: %v", name, n, err)
			}
		}
	}
}

// The passphrase's cost is what it is for; once is enough here.
func init() { workFactor = 10 }

func TestPassphrase_OpensWhatItSealed_AtThatTarget(t *testing.T) {
	ctx := context.Background()
	s, err := target.OpenDir(vfs.NewMem(), "/t")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Passphrase(ctx, s, "correct horse", false); !errors.Is(err, target.ErrNotFound) {
		t.Errorf("nothing there: %v", err)
	}
	first, err := Passphrase(ctx, s, "correct horse\n", true)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Passphrase(ctx, s, "correct horse", true)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := unseal(seal(t, []byte("x"), first), again); err != nil || string(got) != "x" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := Passphrase(ctx, s, "wrong horse", true); !errors.Is(err, ErrWrongKey) {
		t.Errorf("wrong passphrase: %v", err)
	}
	if _, err := Passphrase(ctx, s, "\n", true); err == nil {
		t.Error("an empty passphrase was taken")
	}
}

func TestParse_Nonsense_IsRefusedWithoutRepeatingSecrets(t *testing.T) {
	if _, err := ParseRecipients("not a key"); err == nil {
		t.Error("recipients: no error")
	}
	_, err := ParseIdentities("AGE-SECRET-KEY-1HUSHHUSH")
	if err == nil || strings.Contains(err.Error(), "HUSH") {
		t.Errorf("identities: %v", err)
	}
}

// What is sealed can be opened without Limpet, on the day nothing else works.
func TestSeal_IsOpenedByAgeAndZstd(t *testing.T) {
	for _, program := range []string{"zstd", "age"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("%s not found: apt-get install %s", program, program)
		}
	}
	dir := t.TempDir()
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	keys, err := ParseRecipients(identity.Recipient().String())
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"identity.txt": []byte(identity.String()),
		"plain":        seal(t, text(100_000), Keys{}),
		"encrypted":    seal(t, text(100_000), keys),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, line := range []string{"zstd -dcq < plain", "age -d -i identity.txt encrypted | zstd -dcq"} {
		c := exec.Command("bash", "-o", "pipefail", "-c", line)
		c.Dir = dir
		if out, err := c.Output(); err != nil || !bytes.Equal(out, text(100_000)) {
			t.Errorf("%s: %d bytes, %v", line, len(out), err)
		}
	}
}
