package sealed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"filippo.io/age"
)

// ParseRecipients reads public keys, "age1…" each, one a line; # begins a comment.
func ParseRecipients(text string) (Keys, error) {
	recipients, err := age.ParseRecipients(strings.NewReader(text))
	if err != nil {
		return Keys{}, fmt.Errorf("recipients: %w", err)
	}
	return Keys{Recipients: recipients}, nil
}

// ParseIdentities reads a file of private keys as age-keygen writes it. Who can
// open a stream can seal one as well, for the same keys.
func ParseIdentities(text string) (Keys, error) {
	identities, err := age.ParseIdentities(strings.NewReader(text))
	if err != nil {
		// age's words may repeat the line, which is a secret.
		return Keys{}, errors.New("identities: want lines that begin with AGE-SECRET-KEY-, or with # for a comment")
	}
	k := Keys{Identities: identities}
	for _, identity := range identities {
		switch i := identity.(type) {
		case *age.X25519Identity:
			k.Recipients = append(k.Recipients, i.Recipient())
		case *age.HybridIdentity:
			k.Recipients = append(k.Recipients, i.Recipient())
		}
	}
	return k, nil
}

// PassphraseKey is where the key pair that a passphrase opens lies at a target.
const PassphraseKey = "keys/passphrase.age"

// Shelf is the part of a target that Passphrase needs. Its errors match
// fs.ErrNotExist and fs.ErrExist.
type Shelf interface {
	Get(ctx context.Context, key string) (io.ReadCloser, error)
	Create(ctx context.Context, key string, r io.Reader) error
}

// Passphrase gives the keys that a passphrase opens at a target, and makes them
// when create is set and there are none. A wrong one is ErrWrongKey.
//
// With the same passphrase the keys of two targets differ.
func Passphrase(ctx context.Context, s Shelf, passphrase string, create bool) (Keys, error) {
	passphrase = strings.TrimRight(passphrase, "\r\n")
	if passphrase == "" {
		return Keys{}, errors.New("passphrase: empty")
	}
	k, err := openPair(ctx, s, passphrase)
	if !create || !errors.Is(err, fs.ErrNotExist) {
		return k, err
	}
	pair, err := newPair(passphrase)
	if err != nil {
		return Keys{}, err
	}
	if err := s.Create(ctx, PassphraseKey, bytes.NewReader(pair)); err != nil && !errors.Is(err, fs.ErrExist) {
		return Keys{}, err
	}
	return openPair(ctx, s, passphrase) // ours, or that of another who was first
}

// newPair makes a key pair and seals it with a passphrase, in age's own form of
// a file of identities.
func newPair(passphrase string) ([]byte, error) {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, err
	}
	lock, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return nil, err
	}
	lock.SetWorkFactor(workFactor)
	var sealed bytes.Buffer
	w, err := age.Encrypt(&sealed, lock)
	if err != nil {
		return nil, err
	}
	_, err = fmt.Fprintf(w, "# public key: %s\n%s\n", identity.Recipient(), identity)
	err = errors.Join(err, w.Close())
	return sealed.Bytes(), err
}

// workFactor is age's own default, as the logarithm of scrypt's cost; a second
// on a good machine. Tests lower it.
var workFactor = 18

func openPair(ctx context.Context, s Shelf, passphrase string) (Keys, error) {
	r, err := s.Get(ctx, PassphraseKey)
	if err != nil {
		return Keys{}, err
	}
	defer func() { _ = r.Close() }()
	lock, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return Keys{}, err
	}
	open, err := age.Decrypt(r, lock)
	var others *age.NoIdentityMatchError
	switch {
	case errors.As(err, &others):
		return Keys{}, fmt.Errorf("passphrase: %w", ErrWrongKey)
	case err != nil:
		return Keys{}, fmt.Errorf("passphrase: %s: %w", PassphraseKey, err)
	}
	text, err := io.ReadAll(open)
	if err != nil {
		return Keys{}, fmt.Errorf("passphrase: %s: %w", PassphraseKey, err)
	}
	return ParseIdentities(string(text))
}
