package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"limpet/aof"
	"limpet/internal/backup"
	"limpet/internal/drill"
	"limpet/internal/hotcopy"
	"limpet/internal/sealed"
	"limpet/internal/target"
)

// What the commands for backups share: where these are, and the keys to them.

// fromFlag names the target that backups are read from.
type fromFlag struct {
	From string `required:"" env:"LIMPET_TARGET" placeholder:"TARGET" help:"Where the backups are: a directory, or a bucket as in s3://bucket/prefix?region=eu-central-1, gs:// or azblob://."`
}

func openTarget(ctx context.Context, spec string) (*target.Store, error) {
	s, err := target.Open(ctx, spec)
	if err != nil {
		return nil, failf(exitUsage, "%s", strings.TrimPrefix(err.Error(), "target: "))
	}
	return s, nil
}

// secretFlags open what is encrypted.
type secretFlags struct {
	PassphraseFile string `env:"LIMPET_PASSPHRASE_FILE" placeholder:"FILE" help:"A file whose content is the passphrase."`
	Identity       string `env:"LIMPET_IDENTITY" placeholder:"FILE" help:"A file of private keys, as age-keygen writes it."`
}

// open gives the keys at a target. With create, a passphrase that is new there
// makes them.
func (f secretFlags) open(ctx context.Context, s *target.Store, create bool) (k sealed.Keys, err error) {
	if f.PassphraseFile != "" && f.Identity != "" {
		return k, failf(exitUsage, "--passphrase-file and --identity: want one of them")
	}
	switch {
	case f.PassphraseFile != "":
		text, err := os.ReadFile(f.PassphraseFile)
		if err != nil {
			return k, failf(exitLocal, "cannot read the passphrase: %s", err)
		}
		k, err := sealed.Passphrase(ctx, s, string(text), create)
		switch {
		case errors.Is(err, sealed.ErrWrongKey):
			return k, failf(exitRefused, "%s: this is not the passphrase of the backups there", s).
				with("Nothing has been changed. They open with the passphrase that was given when the first of them was made.")
		case errors.Is(err, fs.ErrNotExist):
			return k, failf(exitRefused, "%s: nothing there was encrypted with a passphrase", s)
		case err != nil:
			return k, explainTarget(err)
		}
		return k, nil
	case f.Identity != "":
		text, err := os.ReadFile(f.Identity)
		if err != nil {
			return k, failf(exitLocal, "cannot read the private keys: %s", err)
		}
		if k, err = sealed.ParseIdentities(string(text)); err != nil {
			return k, failf(exitUsage, "--identity %s: %s", f.Identity, err)
		}
	}
	return k, nil
}

// sealFlags encrypt, and open what is encrypted.
type sealFlags struct {
	Recipient []string `env:"LIMPET_RECIPIENT" placeholder:"KEY" help:"Encrypt for this public key (age1…), or those in this file; may be repeated."`
	secretFlags
}

func (f sealFlags) check() error {
	if len(f.Recipient) > 0 && f.PassphraseFile != "" {
		return errors.New("--recipient and --passphrase-file: want one of them")
	}
	return nil
}

// seal gives the keys to encrypt with; none where nothing is to be encrypted.
func (f sealFlags) seal(ctx context.Context, s *target.Store) (sealed.Keys, error) {
	if len(f.Recipient) == 0 {
		return f.open(ctx, s, true)
	}
	var lines []string
	for _, r := range f.Recipient {
		if !strings.HasPrefix(r, "age1") {
			text, err := os.ReadFile(r)
			if err != nil {
				return sealed.Keys{}, failf(exitUsage, "--recipient: want age1… or a file with such lines: %s", err)
			}
			r = string(text)
		}
		lines = append(lines, r)
	}
	k, err := sealed.ParseRecipients(strings.Join(lines, "\n"))
	if err != nil {
		return k, failf(exitUsage, "--recipient: %s", err)
	}
	return k, nil
}

// explainTarget says what an error of a target means for people.
func explainTarget(err error) error {
	if err == nil {
		return nil
	}
	var (
		f       *failure
		missing *backup.NotFoundError
		nothing *hotcopy.NothingError
		stale   *hotcopy.StaleError
		taken   *backup.OccupiedError
		damaged *aof.FormatError
		hole    *aof.HoleError
	)
	switch {
	case errors.As(err, &f):
		return f
	case errors.As(err, &missing) && missing.ID == "":
		return failf(exitNotFound, "%s: no backups there", missing.Target).
			with("make one: limpet backup --dir DIRECTORY --to %s", typedPath(missing.Target))
	case errors.As(err, &missing):
		return failf(exitNotFound, "%s: no backup %s", missing.Target, missing.ID).
			with("look:   limpet backups --from %s", typedPath(missing.Target))
	case errors.As(err, &nothing):
		return failf(exitNotFound, "%s: no data there: %s is missing", nothing.Dir, nothing.Missing).
			with("Is it the server's directory? Ask it:  redis-cli CONFIG GET dir").
			with("A server that has not saved yet can be asked to:  --store redis://HOST:PORT")
	case errors.As(err, &stale):
		return failf(exitRefused, "%s: a log and a newer dump, and it is not clear which of them the server goes by", stale.Dir).
			with("The log was last written %s, the dump %s.", stale.Log.Format(time.DateTime), stale.Dump.Format(time.DateTime)).
			with("ask it:  --store redis://HOST:PORT").
			with("or say:  --kind aof (the log counts: appendonly yes) or --kind rdb (the dump does)")
	case errors.As(err, &taken) && taken.By != nil:
		return failf(exitLocal, "%s: another restore is filling it", taken.Dir).with("%s. Nothing has been changed.", taken.By)
	case errors.As(err, &taken):
		return failf(exitLocal, "%s is not empty: it holds %s", taken.Dir, taken.Found).
			with("A restore only goes into a missing or empty directory, so that it can destroy nothing. Nothing has been changed.").
			with("else:   --to %s", typedPath(taken.Dir+".restored")).
			with("or:     mv %s %s, once no server uses it", typedPath(taken.Dir), typedPath(taken.Dir+".old"))
	case errors.Is(err, sealed.ErrNeedsKey):
		return failf(exitRefused, "the backup is encrypted").
			with("open:   --passphrase-file FILE or --identity FILE")
	case errors.Is(err, sealed.ErrWrongKey):
		return failf(exitRefused, "the backup is encrypted for another key").
			with("open:   --identity FILE, with the private key of one of its recipients")
	case errors.As(err, &hole), errors.As(err, &damaged):
		return failf(exitLocal, "the data is damaged: %s", err).
			with("A backup of it could not be loaded. Nothing has been changed.")
	case backup.IsBad(err):
		return failf(exitNo, "%s", err).with("This backup is damaged. Nothing has been restored.").
			with("another: limpet backups --from TARGET, then --id ID")
	}
	return failf(exitLocal, "%s", err)
}

// toolName is what is written into catalogues.
func toolName() string { return "limpet " + version }

func hostName() string {
	name, _ := os.Hostname() // only for people
	return name
}

// scratch makes a directory for restored files, and removes it.
func scratch(within string) (dir string, remove func(), err error) {
	dir, err = os.MkdirTemp(within, "limpet-")
	if err != nil {
		return "", nil, failf(exitLocal, "cannot make a scratch directory: %s", err).with("else:   --scratch DIRECTORY")
	}
	return dir, func() { _ = os.RemoveAll(dir) }, nil
}

// loaders are the servers that backups are tried with: our own store, and a real
// one where it is installed.
func loaders(ctx context.Context, dir string) []backup.Loader {
	all := []backup.Loader{ownStore{}}
	if redis := drill.Find(ctx); redis != nil {
		redis.Sockets = dir
		all = append(all, redis)
	}
	return all
}

// bytesText is a size for people.
func bytesText(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, name := float64(n), ""
	for _, name = range []string{"KiB", "MiB", "GiB", "TiB"} {
		if value /= unit; value < unit {
			break
		}
	}
	return fmt.Sprintf("%.1f %s", value, name)
}
